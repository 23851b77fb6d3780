/** The heat map on a canvas of the view's own, for hosts that do not paint. */

import type { Host } from "../hosts/host.js";
import type { Cell, Picture } from "../protocol.js";
import { html, place, show } from "./dom.js";
import { CanvasPainter, type Look, lookOf, type Spot } from "./painter.js";
import { imageExtent, type Stage } from "./stage.js";

export class HeatCanvas {
  readonly element = html("canvas", "rfwidget-heat", { "aria-hidden": "true" });
  readonly #painter = new CanvasPainter(this.element);
  #shown: { picture: Picture | null; look: Look } | null = null;

  /** Cell of the heat map on this canvas; null: there is none. */
  get cell(): Cell | null {
    return this.#shown?.picture?.cell ?? null;
  }

  /** Shows a heat map over the image on a stage, or nothing if the host paints itself. */
  draw(host: Host, stage: Stage, shown: Picture | null, spots: readonly Spot[] | null): void {
    const [left, top] = stage.margin;
    place(this.element, { left, top, ...imageExtent(stage) });
    const mine = host.painted === undefined;
    show(this.element, mine);
    const picture = mine ? shown : null;
    const look = lookOf(host);
    const before = this.#shown;
    const same = (name: keyof Look) => before?.look[name] === look[name];
    if (before?.picture === picture && same("opacity") && same("spotlight") && same("palette")) return;
    this.#shown = { picture, look };
    void this.#painter.paint(picture, look, stage, spots);
  }
}
