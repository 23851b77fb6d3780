/** The heat map on a canvas of the view's own, for hosts that do not paint. */

import type { Host } from "../hosts/host.js";
import type { Cell, Picture } from "../protocol.js";
import { html, place } from "./dom.js";
import { CanvasPainter, type Look, lookOf } from "./painter.js";
import { imageExtent, type Stage } from "./stage.js";

export class HeatCanvas {
  readonly element = html("canvas", "rfwidget-heat", { "aria-hidden": "true" });
  readonly #painter = new CanvasPainter(this.element);
  #shown: { picture: Picture | null; look: Look } | null = null;

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
    const picture = mine ? host.shown : null;
    const look = lookOf(host);
    const before = this.#shown;
    const same = (name: keyof Look) => before?.look[name] === look[name];
    if (before?.picture === picture && same("opacity") && same("spotlight") && same("palette")) return;
    this.#shown = { picture, look };
    void this.#painter.paint(picture, look, stage);
  }
}
