/**
 * The rectangles over the image: of the cell under the pointer, of the selected one, and of the cell at the same place
 * in a layer to compare with.
 *
 * Vector graphics, so that they are sharp at any zoom and device scale. A rectangle is solid over the image and dashed
 * where it overhangs; every line has a dark halo, to be read on any photo; a cross marks the centre of the selected
 * field, a ring that of the other.
 */

import { centreOf, clamp, type Point, rectOf } from "../geometry.js";
import type { Cell, Edges, Field } from "../protocol.js";
import { assign, place, say, show, svg } from "./dom.js";
import { imageExtent, type Stage, scalesOf, stageExtent } from "./stage.js";

/** CSS pixels by which an outline lies outside its field, beside that of a corner cell; as in widget/scene.py. */
const ASIDE = 2.5;
/** CSS pixels around the image in which a rectangle flush with it keeps its whole line. */
const BLEED = 5;
/** CSS pixels beyond the stage at which the edge of an unbounded rectangle is out of sight. */
const BEYOND = 20;
/** CSS pixels: height of a label's line. */
const LETTERS = 14;
const CROSS = "M-5 0H5M0-5V5";
const RING = "M-3.5 0A3.5 3.5 0 1 1 3.5 0A3.5 3.5 0 1 1-3.5 0Z";

export class Marks {
  readonly element: SVGSVGElement;
  readonly #selected = new Mark("selected", CROSS, ASIDE);
  readonly #hovered = new Mark("hovered", RING, 0);
  readonly #compared = new Mark("compared", CROSS, ASIDE, "below");

  constructor() {
    const marks = [this.#compared, this.#selected, this.#hovered];
    this.element = svg(
      "svg",
      "rfwidget-marks",
      marks.map(({ element }) => element),
    );
    assign(this.element, { "aria-hidden": "true" });
  }

  /**
   * Draws the cells anew; null: none. `rect` is the selected cell's own rectangle if the kernel has told it; with a cell
   * to compare, both rectangles are labelled.
   */
  draw(
    stage: Stage,
    field: Field | null,
    selected: Cell | null,
    hovered: Cell | null,
    rect: Edges | null,
    compared: Compared | null,
  ): void {
    place(this.element, stageExtent(stage));
    this.#selected.draw(
      stage,
      field && selected && { rect: rect ?? rectOf(field, selected), centre: centreOf(field, selected) },
      compared?.layer,
    );
    this.#compared.draw(stage, compared && whereabouts(compared.field, compared.cell), compared?.other);
    this.#hovered.draw(stage, field && hovered && whereabouts(field, hovered));
  }
}

/** A cell of another layer, beside the selected one: the field of that layer, and the names of both. */
export interface Compared {
  field: Field;
  cell: Cell;
  layer: string;
  other: string;
}

interface Whereabouts {
  rect: Edges;
  centre: Point;
}

function whereabouts(field: Field, cell: Cell): Whereabouts {
  return { rect: rectOf(field, cell), centre: centreOf(field, cell) };
}

/** One cell's rectangle and the mark at its centre. */
class Mark {
  readonly element: SVGGElement;
  readonly #overhang = outline("rfwidget-overhang");
  readonly #inside = outline("rfwidget-inside");
  readonly #window = svg("svg", "rfwidget-window", this.#inside);
  readonly #centre: SVGPathElement[];
  readonly #label = svg("text", "rfwidget-label");
  readonly #aside: number;
  readonly #side: "above" | "below";

  /** The label stands on that side of the rectangle, which is larger than the field by `aside` CSS pixels all around. */
  constructor(name: string, centre: string, aside: number, side: "above" | "below" = "above") {
    this.#aside = aside;
    this.#side = side;
    this.#centre = ["rfwidget-halo", "rfwidget-line"].map((layer) => {
      const path = svg("path", layer);
      path.setAttribute("d", centre);
      return path;
    });
    this.element = svg("g", `rfwidget-${name}`, [...this.#overhang, this.#window, ...this.#centre, this.#label]);
  }

  draw(stage: Stage, at: Whereabouts | null, label = ""): void {
    show(this.element, at !== null);
    if (!at) return;
    const { margin } = stage;
    const [across, down] = scalesOf(stage);
    const { width, height } = imageExtent(stage);
    const [left = 0, top = 0, right = 0, bottom = 0] = at.rect;
    const out = this.#aside;
    const horizontal = span(left * across - out, right * across + out, -margin[0] - BEYOND, width + margin[2] + BEYOND);
    const vertical = span(top * down - out, bottom * down + out, -margin[1] - BEYOND, height + margin[3] + BEYOND);
    const size = { width: horizontal[1] - horizontal[0], height: vertical[1] - vertical[0] };
    // The nested drawing clips at the image, and its origin is the image's corner less the bleed.
    assign(this.#window, {
      x: margin[0] - BLEED,
      y: margin[1] - BLEED,
      width: width + 2 * BLEED,
      height: height + 2 * BLEED,
    });
    for (const line of this.#inside) assign(line, { x: horizontal[0] + BLEED, y: vertical[0] + BLEED, ...size });
    for (const line of this.#overhang)
      assign(line, { x: horizontal[0] + margin[0], y: vertical[0] + margin[1], ...size });
    const move = `translate(${margin[0] + at.centre[0] * across} ${margin[1] + at.centre[1] * down})`;
    for (const path of this.#centre) assign(path, { transform: move });
    say(this.#label, label);
    const end = stageExtent(stage).height;
    const y = this.#side === "above" ? above(margin[1] + vertical[0]) : below(margin[1] + vertical[1], end);
    assign(this.#label, { x: Math.max(margin[0] + horizontal[0], 0) + 3, y });
  }
}

/** Base line of a label above an edge, or below it where there is no room. */
function above(edge: number): number {
  return edge < LETTERS ? Math.max(edge, 0) + LETTERS : edge - 5;
}

/** Base line of a label below an edge, or above it where there is no room. */
function below(edge: number, stage: number): number {
  return edge + LETTERS > stage ? Math.min(edge, stage) - 5 : edge + LETTERS;
}

/** A rectangle drawn twice: the halo under the line. */
function outline(name: string): SVGRectElement[] {
  return [svg("rect", `rfwidget-halo ${name}`), svg("rect", `rfwidget-line ${name}`)];
}

function span(low: number, high: number, least: number, most: number): [number, number] {
  const start = clamp(low, least, most);
  return [start, clamp(high, start, most)];
}
