/**
 * Asking backwards, which cells see a pixel or all of a box of the image, in words.
 *
 * The answer needs no kernel: geometry.ts knows the cells. (Where convolutions are dilated, a cell may skip a pixel
 * inside its rectangle; `rf.cells_seeing` in Python looks that closely.)
 */

import { type Cells, countOf, covering } from "../geometry.js";
import type { Box, LayerRow } from "../protocol.js";

/** The first of some layers of which one cell sees all of a box; null if there is none. */
export function firstCovering(layers: readonly LayerRow[], box: Box): string | null {
  const sees = ({ field, grid }: LayerRow) => field && countOf(covering(field, grid, box)) > 0;
  return layers.find(sees)?.name ?? null;
}

export function isPixel([left, top, right, bottom]: Box): boolean {
  return right - left === 1 && bottom - top === 1;
}

/** The answer in words: "17 cells of layer mix see pixel (4, 9)". */
export function answerInWords(
  box: Box,
  cells: Cells,
  layer: string,
  layers: readonly LayerRow[],
  axes: 1 | 2 = 2,
): string {
  const count = countOf(cells);
  const [left, top, right, bottom] = box;
  const who = `${count || "no"} ${count > 1 ? "cells" : "cell"} of layer ${layer} ${count > 1 ? "see" : "sees"}`;
  if (isPixel(box)) return `${who} ${axes === 1 ? `sample ${left}` : `pixel (${left}, ${top})`}`;
  const first = firstCovering(layers, box);
  const none = layers.length && !count ? "; no layer has such a cell" : "";
  const where = first ? `; first layer with such a cell: ${first}` : none;
  const what = axes === 1 ? `samples ${left} to ${right}` : `the box x ${left} to ${right}, y ${top} to ${bottom}`;
  return `${who} all of ${what}${where}`;
}

/** A function that remembers its last result while its arguments stay the same. */
export function remembering<A extends readonly unknown[], R>(compute: (...args: A) => R): (...args: A) => R {
  let last: { args: A; result: R } | null = null;
  return (...args) => {
    if (!last?.args.every((value, k) => value === args[k])) last = { args, result: compute(...args) };
    return last.result;
  };
}
