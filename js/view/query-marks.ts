/** Draws the answer to a query: the box asked about, and the centres of the cells that hold it. */

import { type Cells, centreAt } from "../geometry.js";
import type { AxisField, Edges, Field } from "../protocol.js";
import { assign, place, show, svg } from "./dom.js";
import { type Stage, scalesOf, stageExtent } from "./stage.js";

/** Least CSS pixels between two drawn centres; of denser ones every second, third, ... is drawn. */
const SPACING = 7;
/** Diamonds, unlike the round centres of all cells. */
const DIAMOND = "l3.5 -3.5l3.5 3.5l-3.5 3.5z";

export class QueryMarks {
  readonly element = svg("svg", "rfwidget-marks rfwidget-query");
  readonly #box = ["rfwidget-halo", "rfwidget-line"].map((layer) => svg("rect", layer));
  readonly #centres = svg("path", "rfwidget-centres");

  constructor() {
    this.element.append(...this.#box, this.#centres);
    assign(this.element, { "aria-hidden": "true" });
  }

  /** Draws a box and the cells that hold it; null: nothing. */
  draw(stage: Stage, field: Field | null, asked: { box: Edges; cells: Cells } | null): void {
    show(this.element, asked !== null);
    if (!asked) return;
    const { margin } = stage;
    const [across, down] = scalesOf(stage);
    place(this.element, stageExtent(stage));
    const [left = 0, top = 0, right = 0, bottom = 0] = asked.box;
    for (const rect of this.#box) {
      assign(rect, {
        x: margin[0] + left * across,
        y: margin[1] + top * down,
        width: (right - left) * across,
        height: (bottom - top) * down,
      });
    }
    const xs = field ? places(field.x, asked.cells[0] ?? [], margin[0], across) : [];
    const ys = field ? places(field.y, asked.cells[1] ?? [], margin[1], down) : [];
    assign(this.#centres, { d: ys.flatMap((y) => xs.map((x) => `M${x - 3.5} ${y}${DIAMOND}`)).join("") });
  }
}

/** Centres along an axis in CSS pixels of the stage, thinned to a readable distance. */
function places(axis: AxisField, cells: readonly number[], margin: number, scale: number): number[] {
  const every = Math.max(1, Math.ceil((SPACING * axis.cells) / (axis.pixels * scale)));
  const start = Math.floor((((cells.length - 1) % every) + 1) / 2); // the kept ones lie in the middle
  return cells.filter((_, k) => k % every === start % every).map((cell) => margin + centreAt(axis, cell) * scale);
}
