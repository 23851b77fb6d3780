/**
 * The overlay over a kernel, as anywidget wants it.
 *
 * anywidget calls it once per model and page, so what the views of a model share (the request queue,
 * the last picture) lives in one host.
 */

import type { InitializeProps, RenderProps } from "@anywidget/types";
import { KernelHost } from "./hosts/kernel-host.js";
import { settle } from "./jupyter.js";
import type { SyncedState } from "./protocol.js";
import { html } from "./view/dom.js";
import type { Kind } from "./view/kind.js";
import { mount } from "./view/overlay.js";
import type { layerPainter } from "./view/painter.js";

/** The widget of a kind of input, as anywidget wants it; `painterOn` paints on the kernel's canvas, null: there is none. */
export function widgetOf(kind: Kind, painterOn: typeof layerPainter | null) {
  let host: KernelHost | null = null;
  return {
    initialize({ model }: Pick<InitializeProps<SyncedState>, "model">) {
      host = new KernelHost(model, painterOn);
      return () => host?.close();
    },
    render({ model, el }: Pick<RenderProps<SyncedState>, "model" | "el">) {
      host ??= new KernelHost(model, painterOn);
      const life = new AbortController();
      const place = isAlone(el) ? stageIn(el) : el;
      mount(place, host, kind, life.signal);
      settle(place, life.signal);
      host.shownIn(place, life.signal);
      return () => {
        life.abort();
        if (place !== el) el.replaceChildren();
      };
    },
  };
}

/** Whether an element stands in a page without the stage that ipywidgets' boxes make: marimo shows this widget alone. */
function isAlone(element: HTMLElement): boolean {
  return element.isConnected && !element.closest(".rfwidget-stage");
}

/** A stage of its own; the place of the overlay in it. */
function stageIn(element: HTMLElement): HTMLElement {
  const place = html("div", "");
  element.append(html("div", "rfwidget-page", {}, [html("div", "rfwidget-stage", {}, [place])]));
  return place;
}
