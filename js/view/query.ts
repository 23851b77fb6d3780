/**
 * Asking backwards: which cells see a pixel, or all of a box of the image?
 *
 * The answer needs no kernel. Receptive fields are rectangles whose edges are known exactly, axis by axis, so the cells
 * around a box are some columns times some rows. (Where convolutions are dilated, a cell may skip a pixel inside its
 * rectangle; `rf.cells_seeing` in Python looks that closely.)
 */

import { clamp, edgesAt } from "../geometry.js";
import type { AxisField, Box, Cell, Field, LayerRow } from "../protocol.js";

/** Cells whose receptive fields hold a box: these columns in each of these rows. */
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

/** The first of some layers of which one cell sees all of a box; null if there is none. */
export function firstCovering(layers: readonly LayerRow[], box: Box): string | null {
  const sees = ({ field, grid }: LayerRow) => field && countOf(covering(field, grid, box)) > 0;
  return layers.find(sees)?.name ?? null;
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

/** The whole pixels between two points given in pixels, at least one, inside the image. */
export function boxBetween(a: readonly [number, number], b: readonly [number, number], image: Cell): Box {
  const span = (k: 0 | 1): [number, number] => {
    const low = clamp(Math.floor(Math.min(a[k], b[k])), 0, image[k] - 1);
    return [low, clamp(Math.ceil(Math.max(a[k], b[k])), low + 1, image[k])];
  };
  const [[left, right], [top, bottom]] = [span(0), span(1)];
  return [left, top, right, bottom];
}

export function isPixel([left, top, right, bottom]: Box): boolean {
  return right - left === 1 && bottom - top === 1;
}

/** The answer in words: "17 cells of layer mix see pixel (4, 9)". */
export function answerInWords(box: Box, cells: Cells, layer: string, layers: readonly LayerRow[]): string {
  const count = countOf(cells);
  const [left, top, right, bottom] = box;
  const who = `${count || "no"} ${count > 1 ? "cells" : "cell"} of layer ${layer} ${count > 1 ? "see" : "sees"}`;
  if (isPixel(box)) return `${who} pixel (${left}, ${top})`;
  const first = firstCovering(layers, box);
  const none = layers.length && !count ? "; no layer has such a cell" : "";
  const where = first ? `; first layer with such a cell: ${first}` : none;
  return `${who} all of the box x ${left} to ${right}, y ${top} to ${bottom}${where}`;
}

/** A function that remembers its last result while its arguments stay the same. */
export function remembering<A extends readonly unknown[], R>(compute: (...args: A) => R): (...args: A) => R {
  let last: { args: A; result: R } | null = null;
  return (...args) => {
    if (!last?.args.every((value, k) => value === args[k])) last = { args, result: compute(...args) };
    return last.result;
  };
}

export interface BoxOptions {
  /** Whether a press is meant to ask. */
  asks: (event: PointerEvent) => boolean;
  /** Width and height of the image in pixels. */
  image: () => Cell;
  /** The box while it is drawn; null when that is broken off. */
  draft: (box: Box | null) => void;
  /** The box when it is done. */
  done: (box: Box) => void;
}

/** CSS pixels by which a hand strays that means to click, and by which a finger does. */
const SLOP = { hand: 3, finger: 8 };

/** Follows presses that ask, on an element that covers the image: a click asks for a pixel, a drag for a box. */
export function trackBox(element: HTMLElement, options: BoxOptions, signal: AbortSignal): void {
  let press: { id: number; x: number; y: number } | null = null;

  const boxTo = (event: PointerEvent, { x, y }: { x: number; y: number }): Box => {
    const { left, top, width, height } = element.getBoundingClientRect();
    const image = options.image();
    const point = (clientX: number, clientY: number) =>
      [((clientX - left) / width) * image[0], ((clientY - top) / height) * image[1]] as const;
    const slop = event.pointerType === "touch" ? SLOP.finger : SLOP.hand;
    const clicks = Math.abs(event.clientX - x) <= slop && Math.abs(event.clientY - y) <= slop;
    const [from, to] = [point(x, y), point(event.clientX, event.clientY)];
    return boxBetween(from, clicks ? from : to, image);
  };
  const down = (event: PointerEvent) => {
    const { width, height } = element.getBoundingClientRect();
    if (!event.isPrimary || event.button !== 0 || !options.asks(event) || event.ctrlKey || !width || !height) return;
    press = { id: event.pointerId, x: event.clientX, y: event.clientY };
    element.setPointerCapture(event.pointerId);
    element.focus({ preventScroll: true });
    event.preventDefault(); // no selection of text
    options.draft(boxTo(event, press));
  };
  const move = (event: PointerEvent) => {
    if (press?.id === event.pointerId) options.draft(boxTo(event, press));
  };
  const up = (event: PointerEvent) => {
    if (press?.id !== event.pointerId) return;
    const box = boxTo(event, press);
    press = null;
    options.draft(null);
    options.done(box);
  };
  const cancel = () => {
    if (press) options.draft(null);
    press = null;
  };

  element.addEventListener("pointerdown", down, { signal });
  element.addEventListener("pointermove", move, { signal });
  element.addEventListener("pointerup", up, { signal });
  element.addEventListener("pointercancel", cancel, { signal });
  element.addEventListener("lostpointercapture", cancel, { signal });
}
