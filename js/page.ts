/**
 * Starts the widget on a page without a kernel: for every `script.rfwidget-data`, which holds a page as JSON, it builds the
 * same stage as in a notebook right behind it.
 */

import { type Page, PageHost } from "./hosts/page-host.js";
import { html } from "./view/dom.js";
import { followFragment, tellHeight } from "./view/embedding.js";
import { mount } from "./view/overlay.js";

for (const script of document.querySelectorAll("script.rfwidget-data")) {
  const overlay = html("div", "");
  mount(overlay, new PageHost(JSON.parse(script.textContent ?? "") as Page), new AbortController().signal);
  script.after(html("div", "rfwidget-page", {}, [html("div", "rfwidget-stage", {}, [overlay])]));
}

followFragment(document.documentElement, location, window);
if (parent !== window) tellHeight(document.body, (message) => parent.postMessage(message, "*"));
