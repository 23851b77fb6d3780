/** Draws the outlines of the effective receptive field at the selected cell: each share with a dash pattern and a label. */

import type { Cell, Contours } from "../protocol.js";
import { assign, place, show, svg } from "./dom.js";
import { type Stage, scalesOf, stageExtent } from "./stage.js";

type Level = Contours["levels"][number];
type Scales = readonly [across: number, down: number];

export class ContourMarks {
  readonly element = svg("svg", "rfwidget-marks rfwidget-contours");
  /** To be laid over all other drawings, so that no line crosses a label. */
  readonly labels = svg("svg", "rfwidget-marks rfwidget-shares");
  readonly #lines = svg("g", "");
  readonly #words = svg("g", "");
  #drawn: { contours: Contours; scales: Scales } | null = null;

  constructor() {
    this.element.append(this.#lines);
    this.labels.append(this.#words);
    for (const element of [this.element, this.labels]) assign(element, { "aria-hidden": "true" });
  }

  draw(stage: Stage, contours: Contours | null, cell: Cell | null): void {
    for (const element of [this.element, this.labels]) show(element, contours !== null && cell !== null);
    if (!contours || !cell) return;
    const { margin } = stage;
    const scales = scalesOf(stage);
    const drawn = this.#drawn;
    for (const element of [this.element, this.labels]) place(element, stageExtent(stage));
    if (contours !== drawn?.contours || scales[0] !== drawn.scales[0] || scales[1] !== drawn.scales[1]) {
      this.#lines.replaceChildren(...contours.levels.flatMap((level) => outline(level, scales)));
      this.#words.replaceChildren(...contours.levels.map((level) => label(level, scales)));
      this.#drawn = { contours, scales };
    }
    const left = Math.floor(contours.x.start + cell[0] * contours.x.stride);
    const top = Math.floor(contours.y.start + cell[1] * contours.y.stride);
    const transform = `translate(${margin[0] + left * scales[0]} ${margin[1] + top * scales[1]})`;
    for (const group of [this.#lines, this.#words]) assign(group, { transform });
  }
}

function outline({ share, loops }: Level, scales: Scales): SVGElement[] {
  const path = loops.map((loop) => `M${loop.map((at, k) => at * (k % 2 ? scales[1] : scales[0])).join(" ")}Z`).join("");
  const lines = ["rfwidget-halo", "rfwidget-line"].map((layer) => svg("path", layer));
  for (const line of lines) assign(line, { d: path, "data-share": share });
  return lines;
}

function label({ share, loops }: Level, scales: Scales): SVGElement {
  const label = svg("text", "rfwidget-label", [document.createTextNode(`${Math.round(share * 100)} %`)]);
  const points = loops.flatMap((loop) => pairs(loop));
  // The smaller region's label stands above it, the larger one's to its right: there they meet neither each other nor the
  // name of a layer to compare with, which stands below that layer's rectangle.
  const larger = share > 0.5;
  const last = points.reduce<[number, number] | null>(
    (best, at) => (best && (larger ? best[0] >= at[0] : best[1] <= at[1]) ? best : at),
    null,
  );
  if (last) assign(label, { x: last[0] * scales[0] + 3, y: last[1] * scales[1] + (larger ? 4 : -5) });
  return label;
}

function pairs(loop: readonly number[]): [number, number][] {
  return loop.flatMap((x, k) => (k % 2 ? [] : [[x, loop[k + 1] ?? 0]]));
}
