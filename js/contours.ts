/** Draws the outlines of the effective receptive field at the selected cell: each share with a dash pattern and a label. */

import { assign, place, svg } from "./dom.js";
import type { Cell, Contours } from "./model.js";
import type { Stage } from "./painter.js";

type Level = Contours["levels"][number];

export class ContourMarks {
  readonly element = svg("svg", "rfwidget-marks rfwidget-contours");
  readonly #group = svg("g", "");
  #drawn: { contours: Contours; scale: number } | null = null;

  constructor() {
    this.element.append(this.#group);
    assign(this.element, { "aria-hidden": "true" });
  }

  draw({ image_size, margin, scale }: Stage, contours: Contours | null, cell: Cell | null): void {
    this.element.style.display = contours && cell ? "" : "none";
    if (!contours || !cell) return;
    place(this.element, {
      width: margin[0] + image_size[0] * scale + margin[2],
      height: margin[1] + image_size[1] * scale + margin[3],
    });
    if (contours !== this.#drawn?.contours || scale !== this.#drawn.scale) {
      this.#group.replaceChildren(...contours.levels.flatMap((level) => outline(level, scale)));
      this.#drawn = { contours, scale };
    }
    const left = Math.floor(contours.x.start + cell[0] * contours.x.stride);
    const top = Math.floor(contours.y.start + cell[1] * contours.y.stride);
    assign(this.#group, { transform: `translate(${margin[0] + left * scale} ${margin[1] + top * scale})` });
  }
}

function outline({ share, loops }: Level, scale: number): SVGElement[] {
  const path = loops.map((loop) => `M${loop.map((at) => at * scale).join(" ")}Z`).join("");
  const lines = ["rfwidget-halo", "rfwidget-line"].map((layer) => svg("path", layer));
  for (const line of lines) assign(line, { d: path, "data-share": share });
  const label = svg("text", "rfwidget-label", [document.createTextNode(`${Math.round(share * 100)} %`)]);
  const points = loops.flatMap((loop) => pairs(loop));
  // The smaller region's label stands above it, the larger one's to its right: there they meet neither each other nor the
  // name of a layer to compare with, which stands below that layer's rectangle.
  const larger = share > 0.5;
  const last = points.reduce<[number, number] | null>(
    (best, at) => (best && (larger ? best[0] >= at[0] : best[1] <= at[1]) ? best : at),
    null,
  );
  if (last) assign(label, { x: last[0] * scale + 3, y: last[1] * scale + (larger ? 4 : -5) });
  return [...lines, label];
}

function pairs(loop: readonly number[]): [number, number][] {
  return loop.flatMap((x, k) => (k % 2 ? [] : [[x, loop[k + 1] ?? 0]]));
}
