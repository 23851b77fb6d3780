/**
 * Cells, rectangles and pixels: pure functions, no DOM.
 *
 * Coordinates are pixel edges: pixel column k covers the interval [k, k + 1). The same rules as in rfwidget/geometry.py,
 * so that hovering needs no kernel.
 */

import type { AxisField, Box, Cell, Field, Rect } from "./protocol.js";

/** First and last edge of a cell's receptive field along an axis; infinite if the axis is unbounded, 0 if it is empty. */
export function edgesAt(axis: AxisField, cell: number): [low: number, high: number] {
  const other = axis.others?.find(([special]) => special === cell);
  if (other) return [other[1] ?? -Infinity, other[2] ?? Infinity];
  const edges = axis.edges?.[mod(cell, axis.cells)];
  if (!edges) return [-Infinity, Infinity];
  if (edges[0] === edges[1]) return [0, 0];
  const shift = Math.floor(cell / axis.cells) * axis.pixels;
  return [edges[0] === null ? -Infinity : edges[0] + shift, edges[1] === null ? Infinity : edges[1] + shift];
}

/** Receptive field of a cell; it may overhang the image. */
export function rectOf(field: Field, [x, y]: Cell): Rect {
  const [left, right] = edgesAt(field.x, x);
  const [top, bottom] = edgesAt(field.y, y);
  return [left, top, right, bottom];
}

/** Centre of a cell's receptive field along an axis; of the pixels its stride covers, if the axis is unbounded. */
export function centreAt(axis: AxisField, cell: number): number {
  if (!axis.edges || axis.edges.some((pair) => pair.includes(null))) return ((cell + 0.5) * axis.pixels) / axis.cells;
  const [low, high] = edgesAt(axis, cell);
  return (low + high) / 2;
}

/** Centre of a cell's receptive field. */
export function centreOf(field: Field, [x, y]: Cell): [x: number, y: number] {
  return [centreAt(field.x, x), centreAt(field.y, y)];
}

/** The cell, of `count` along an axis, whose receptive field has its centre nearest to a coordinate. */
export function nearest(axis: AxisField, coordinate: number, count: number): number {
  let best = 0;
  let distance = Infinity;
  if (axis.others?.length) {
    // No pattern holds for all cells; of two at the same distance the later one, as everywhere.
    for (let cell = 0; cell < count; cell++) {
      const away = Math.abs(coordinate - centreAt(axis, cell));
      if (away <= distance) [best, distance] = [cell, away];
    }
    return best;
  }
  // Within one phase the centres are evenly spaced, so each phase has one candidate.
  for (let phase = 0; phase < Math.min(axis.cells, count); phase++) {
    const last = Math.floor((count - 1 - phase) / axis.cells);
    const turn = clamp(Math.round((coordinate - centreAt(axis, phase)) / axis.pixels), 0, last);
    const cell = phase + turn * axis.cells;
    const away = Math.abs(coordinate - centreAt(axis, cell));
    if (away < distance) [best, distance] = [cell, away];
  }
  return best;
}

/** The cell whose receptive field has its centre nearest to a point of the image, in pixels. */
export function cellAt(field: Field, grid: Cell, [x, y]: readonly [number, number]): Cell {
  return [nearest(field.x, x, grid[0]), nearest(field.y, y, grid[1])];
}

/** The cell drawn at a point of a picture of the grid, given as fractions of its width and height. */
export function cellAtFraction(grid: Cell, [x, y]: readonly [number, number]): Cell {
  return [clamp(Math.floor(x * grid[0]), 0, grid[0] - 1), clamp(Math.floor(y * grid[1]), 0, grid[1] - 1)];
}

/** The cell moved by some cells, kept in the grid. */
export function moved([x, y]: Cell, dx: number, dy: number, grid: Cell): Cell {
  return [clamp(x + dx, 0, grid[0] - 1), clamp(y + dy, 0, grid[1] - 1)];
}

/**
 * Cells whose receptive fields hold a box: these columns in each of these rows.
 *
 * Receptive fields are rectangles whose edges are known exactly, axis by axis, so the cells around a box are some columns
 * times some rows.
 */
export interface Cells {
  columns: number[];
  rows: number[];
}

/** The cells, of `count` along an axis, whose receptive fields hold the pixels from `low` to `high`. */
export function holding(axis: AxisField, count: number, low: number, high: number): number[] {
  return Array.from({ length: count }, (_, cell) => cell).filter((cell) => {
    const [first, last] = edgesAt(axis, cell);
    return first <= low && high <= last;
  });
}

/** The cells of a grid whose receptive fields hold a box. */
export function covering(field: Field, grid: Cell, [left, top, right, bottom]: Box): Cells {
  return { columns: holding(field.x, grid[0], left, right), rows: holding(field.y, grid[1], top, bottom) };
}

export function countOf({ columns, rows }: Cells): number {
  return columns.length * rows.length;
}

/** The whole pixels between two points given in pixels, at least one, inside the image. */
export function boxBetween(a: readonly [number, number], b: readonly [number, number], image: Cell): Box {
  const span = (k: 0 | 1): [number, number] => {
    const low = clamp(Math.floor(Math.min(a[k], b[k])), 0, image[k] - 1);
    return [low, clamp(Math.ceil(Math.max(a[k], b[k])), low + 1, image[k])];
  };
  const [[left, right], [top, bottom]] = [span(0), span(1)];
  return [left, top, right, bottom];
}

/** Whether a cell lies in the grid. */
export function inGrid([x, y]: Cell, grid: Cell): boolean {
  return x >= 0 && y >= 0 && x < grid[0] && y < grid[1];
}

export function sameCell(a: Cell | null, b: Cell | null): boolean {
  return a === b || (a !== null && b !== null && a[0] === b[0] && a[1] === b[1]);
}

/** A cell in words, as the model has it: "(8, 4)", of a signal "8". */
export function cellInWords([x, y]: Cell, axes: 1 | 2): string {
  return axes === 1 ? `${x}` : `(${x}, ${y})`;
}

/**
 * A rectangle's place and size in words: "x 32 to 66, y 30 to 64, 34 \u00d7 34 px"; of a signal "32 to 66, 34 samples".
 */
export function describe([left, top, right, bottom]: Rect, axes: 1 | 2 = 2): string {
  if (left === right || top === bottom) return "sees only padding";
  const span = (low: number, high: number) =>
    Number.isFinite(high - low) ? `${formatNumber(low)} to ${formatNumber(high)}` : unboundedInWords(low, high);
  const length = (low: number, high: number) => (Number.isFinite(high - low) ? formatNumber(high - low) : "\u221e");
  if (axes === 1) return `${span(left, right)}, ${length(left, right)} samples`;
  return `x ${span(left, right)}, y ${span(top, bottom)}, ${length(left, right)} \u00d7 ${length(top, bottom)} px`;
}

/** An interval without an end in words: "all", or all up to a place, or from there on. */
export function unboundedInWords(low: number, high: number): string {
  if (Number.isFinite(high)) return `all up to ${formatNumber(high)}`;
  return Number.isFinite(low) ? `all from ${formatNumber(low)} on` : "all";
}

export function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}

function mod(value: number, modulus: number): number {
  return ((value % modulus) + modulus) % modulus;
}

/** A number with at most two decimals, with a true minus sign. */
export function formatNumber(value: number): string {
  return `${Math.round(value * 100) / 100}`.replace("-", "\u2212");
}
