/** The heat map on a canvas of the view's own, for hosts that do not paint. */

import type { Host } from "../hosts/host.js";
import type { Cell, Picture } from "../protocol.js";
import { html, place } from "./dom.js";
import { CanvasPainter } from "./painter.js";
import { imageExtent, stageOf } from "./stage.js";

export class HeatCanvas {
  readonly element = html("canvas", "rfwidget-heat", { "aria-hidden": "true" });
  readonly #painter = new CanvasPainter(this.element);
  #shown: { picture: Picture | null; opacity: number } | null = null;

  /** Cell of the heat map on this canvas; null: there is none. */
  get cell(): Cell | null {
    return this.#shown?.picture?.cell ?? null;
  }

  /** Shows the host's heat map over the image, or nothing if the host paints itself. */
  draw(host: Host): void {
    const stage = stageOf(host);
    const [left, top] = stage.margin;
    place(this.element, { left, top, ...imageExtent(stage) });
    const mine = host.painted === undefined;
    this.element.hidden = !mine;
    const picture = mine && host.get("show_heat") ? host.picture : null;
    const opacity = host.get("heat_opacity");
    if (picture === this.#shown?.picture && opacity === this.#shown.opacity) return;
    this.#shown = { picture, opacity };
    void this.#painter.paint(picture, opacity, stage);
  }
}
