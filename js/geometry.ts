/**
 * Cells, rectangles and pixels: pure functions, no DOM.
 *
 * Coordinates are pixel edges: pixel column k covers the interval [k, k + 1). The same rules as in rfwidget/geometry.py,
 * so that hovering needs no kernel.
 */

import type { AxisField, Box, Cell, Edges, Field, Rect } from "./protocol.js";

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

/** A place along x, y and, in a volume, z, in pixels. */
export type Point = readonly [x: number, y: number, z?: number];

/** The fields along x, y and, of a volume, z. */
export function axesOf({ x, y, z }: Field): AxisField[] {
  return z ? [x, y, z] : [x, y];
}

/** First and last edge along each axis. */
export function pairsOf(edges: Edges, axes = edges.length / 2): [low: number, high: number][] {
  return Array.from({ length: axes }, (_, k) => [edges[k] ?? 0, edges[k + edges.length / 2] ?? 0]);
}

/** Edges from those along each axis. */
export function edgesFrom(pairs: readonly (readonly [number, number])[]): Edges {
  return [0, 1].flatMap((end) => pairs.map((pair) => pair[end as 0 | 1]));
}

/** Receptive field of a cell; it may overhang the image. */
export function fieldOf(field: Field, cell: Cell): Edges {
  return edgesFrom(axesOf(field).map((axis, k) => edgesAt(axis, cell[k] ?? 0)));
}

/** The same in an image. */
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
export function centreOf(field: Field, cell: Cell): Point {
  return axesOf(field).map((axis, k) => centreAt(axis, cell[k] ?? 0)) as unknown as Point;
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
export function cellAt(field: Field, grid: Cell, at: Point): Cell {
  return axesOf(field).map((axis, k) => nearest(axis, at[k] ?? 0, grid[k] ?? 1)) as unknown as Cell;
}

/** The cell drawn at a point of a picture of the grid, given as fractions of its width and height. */
export function cellAtFraction(grid: Cell, [x, y]: readonly [number, number]): Cell {
  return [clamp(Math.floor(x * grid[0]), 0, grid[0] - 1), clamp(Math.floor(y * grid[1]), 0, grid[1] - 1)];
}

/** The cell moved by some cells along x, y and z, kept in the grid. */
export function moved(cell: Cell, by: readonly number[], grid: Cell): Cell {
  return cell.map((at = 0, k) => clamp(at + (by[k] ?? 0), 0, (grid[k] ?? 1) - 1)) as unknown as Cell;
}

/**
 * Cells whose receptive fields hold a box: some columns, in each of some rows, of a volume in each of some planes.
 *
 * The edges of receptive fields are known exactly, axis by axis.
 */
export type Cells = readonly (readonly number[])[];

/** The cells, of `count` along an axis, whose receptive fields hold the pixels from `low` to `high`. */
export function holding(axis: AxisField, count: number, low: number, high: number): number[] {
  return Array.from({ length: count }, (_, cell) => cell).filter((cell) => {
    const [first, last] = edgesAt(axis, cell);
    return first <= low && high <= last;
  });
}

/** The cells of a grid whose receptive fields hold a box. */
export function covering(field: Field, grid: Cell, box: Edges): Cells {
  const pairs = pairsOf(box);
  return axesOf(field).map((axis, k) => holding(axis, grid[k] ?? 0, ...(pairs[k] ?? [0, 0])));
}

export function countOf(cells: Cells): number {
  return cells.reduce((count, { length }) => count * length, 1);
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

/** How many cells a grid has. */
export function cellsIn(grid: Cell): number {
  return grid.reduce<number>((count, along = 1) => count * along, 1);
}

/** The cell in the middle of a grid. */
export function middleOf(grid: Cell): Cell {
  return grid.map((count = 1) => count >> 1) as unknown as Cell;
}

export function sameCell(a: Cell | null, b: Cell | null): boolean {
  return a === b || (a !== null && b !== null && a.join() === b.join());
}

/** A cell in words, as the model has it: "(8, 4)", of a signal "8". */
export function cellInWords(cell: Cell, axes: number): string {
  return axes === 1 ? `${cell[0]}` : `(${cell.join(", ")})`;
}

/**
 * A rectangle's place and size in words: "x 32 to 66, y 30 to 64, 34 \u00d7 34 px"; of a signal "32 to 66, 34 samples".
 */
export function describe(edges: Edges, axes: number, unit: string): string {
  const pairs = pairsOf(edges, axes);
  if (pairs.some(([low, high]) => low === high)) return "sees only padding";
  return `${placeInWords(pairs, " to ")}, ${sizeInWords(pairs)} ${unit}`;
}

/** Where something is: "x 32 to 66, y 30 to 64", along one axis alone "32 to 66". */
export function placeInWords(pairs: readonly (readonly [number, number])[], to: string): string {
  const span = ([low, high]: readonly [number, number]) =>
    Number.isFinite(high - low) ? `${formatNumber(low)}${to}${formatNumber(high)}` : unboundedInWords(low, high);
  return pairs.map((pair, k) => `${pairs[1] ? `${"xyz"[k]} ` : ""}${span(pair)}`).join(", ");
}

/** How large it is: "34 \u00d7 34". */
export function sizeInWords(pairs: readonly (readonly [number, number])[]): string {
  const length = ([low, high]: readonly [number, number]) =>
    Number.isFinite(high - low) ? formatNumber(high - low) : "\u221e";
  return pairs.map(length).join(" \u00d7 ");
}

/** An interval without an end in words: "all", or all up to a place, or from there on. */
function unboundedInWords(low: number, high: number): string {
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
