/** Starts the widget on a page without a kernel. */

import { type Page, PageHost } from "./hosts/page-host.js";
import { html } from "./view/dom.js";
import { followFragment, tellHeight } from "./view/embedding.js";
import type { Kind } from "./view/kind.js";
import { mount } from "./view/overlay.js";

/**
 * For every `script.rfwidget-data`, which holds a page as JSON, builds the same stage as in a notebook right behind it.
 */
export function startPages(kind: Kind): void {
  for (const script of document.querySelectorAll("script.rfwidget-data")) {
    const overlay = html("div", "");
    mount(overlay, new PageHost(JSON.parse(script.textContent ?? "") as Page), kind, new AbortController().signal);
    script.after(html("div", "rfwidget-page", {}, [html("div", "rfwidget-stage", {}, [overlay])]));
  }

  followFragment(document.documentElement, location, window);
  if (parent !== window) tellHeight(document.body, (message) => parent.postMessage(message, "*"));
}
