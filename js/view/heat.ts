/** The heat map on a canvas of the view's own, for hosts that do not paint. */

import type { Host } from "../hosts/host.js";
import type { Cell, Picture } from "../protocol.js";
import { html, place } from "./dom.js";
import { CanvasPainter } from "./painter.js";
import { imageExtent, type Stage } from "./stage.js";

export class HeatCanvas {
  readonly element = html("canvas", "rfwidget-heat", { "aria-hidden": "true" });
  readonly #painter = new CanvasPainter(this.element);
  #shown: { picture: Picture | null; opacity: number; spotlight: boolean } | null = null;

  /** Cell of the heat map on this canvas; null: there is none. */
  get cell(): Cell | null {
    return this.#shown?.picture?.cell ?? null;
  }

  /** Shows the host's heat map over the image on a stage, or nothing if the host paints itself. */
  draw(host: Host, stage: Stage): void {
    const [left, top] = stage.margin;
    place(this.element, { left, top, ...imageExtent(stage) });
    const mine = host.painted === undefined;
    this.element.hidden = !mine;
    const picture = mine && host.get("show_heat") ? host.picture : null;
    const opacity = host.get("heat_opacity");
    const spotlight = host.get("controls")?.spotlight ?? false;
    const same = picture === this.#shown?.picture && opacity === this.#shown.opacity;
    if (same && spotlight === this.#shown?.spotlight) return;
    this.#shown = { picture, opacity, spotlight };
    void this.#painter.paint(picture, opacity, stage, spotlight);
  }
}
