/** The layer's output as a small picture beside the image, with the same cells marked, and those that a query found. */

import { type Cells, cellAtFraction, clamp } from "../geometry.js";
import { bytesOf, type Cell, type FeatureMap, type SyncedState } from "../protocol.js";
import { assign, html, place, svg } from "./dom.js";
import { fillPixels } from "./painter.js";
import { type PointerOptions, trackPointer } from "./pointer.js";
import { imageExtent, type Stage } from "./stage.js";

/** CSS pixels: as wide as the picture gets, and as large as one cell gets. */
const WIDEST = 200;
const LARGEST_CELL = 16;

export class FeatureMapView {
  readonly element: HTMLElement;
  readonly #canvas = html("canvas", "rfwidget-map-picture");
  readonly #selected = svg("rect", "rfwidget-map-selected");
  readonly #hovered = svg("rect", "rfwidget-map-hovered");
  readonly #found = svg("path", "rfwidget-map-found");
  readonly #marks = svg("svg", "rfwidget-map-marks", [this.#found, this.#hovered, this.#selected]);
  readonly #surface: HTMLElement;
  #shown: FeatureMap | null = null;
  #grid: Cell = [0, 0];

  constructor(options: Omit<PointerOptions, "cellAt">, signal: AbortSignal) {
    this.#surface = html("div", "rfwidget-map-surface", { role: "img" }, [this.#canvas, this.#marks]);
    this.element = html("div", "rfwidget-map", {}, [this.#surface]);
    const cellAt = (fraction: readonly [number, number]) => cellAtFraction(this.#grid, fraction);
    trackPointer(this.#surface, { ...options, cellAt }, signal);
  }

  draw(map: SyncedState["feature_map"], stage: Stage, layer: string): void {
    this.element.hidden = map === null;
    if (!map) return;
    this.#grid = map.size;
    const [width, height] = map.size;
    const room = Math.min(WIDEST / width, imageExtent(stage).height / height, LARGEST_CELL);
    const cell = room > 1 ? Math.floor(room) : room;
    place(this.#surface, { width: width * cell, height: height * cell });
    this.element.style.paddingTop = `${stage.margin[1]}px`;
    assign(this.#surface, { "aria-label": `Output of ${layer || "the layer"}, ${width} by ${height} cells` });
    assign(this.#marks, { viewBox: `0 0 ${width} ${height}` });
    if (map !== this.#shown) fillPixels(this.#canvas, map.size, bytesOf(map.rgba));
    this.#shown = map;
  }

  mark(selected: Cell | null, hovered: Cell | null): void {
    outline(this.#selected, selected, this.#grid);
    outline(this.#hovered, hovered, this.#grid);
  }

  /** Marks the cells that a query found, each block of neighbours as one area; null: none. */
  markFound(cells: Cells | null): void {
    const [columns, rows] = [runs(cells?.columns ?? []), runs(cells?.rows ?? [])];
    const blocks = rows.flatMap(([top, bottom]) =>
      columns.map(([left, right]) => `M${left} ${top}H${right}V${bottom}H${left}Z`),
    );
    assign(this.#found, { d: blocks.join("") });
  }
}

function outline(rectangle: SVGRectElement, cell: Cell | null, grid: Cell): void {
  rectangle.style.display = cell ? "" : "none";
  if (!cell) return;
  const [x, y] = [clamp(cell[0], 0, grid[0] - 1), clamp(cell[1], 0, grid[1] - 1)];
  assign(rectangle, { x, y, width: 1, height: 1 });
}

/** Runs of neighbours among ascending whole numbers, each as its first and the one after its last. */
export function runs(numbers: readonly number[]): [start: number, end: number][] {
  const found: [number, number][] = [];
  for (const number of numbers) {
    const last = found.at(-1);
    if (last?.[1] === number) last[1]++;
    else found.push([number, number + 1]);
  }
  return found;
}
