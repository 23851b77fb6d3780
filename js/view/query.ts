/**
 * Asking backwards, which cells see a pixel or all of a box of the image, in words.
 *
 * The answer needs no kernel: geometry.ts knows the cells. (Where convolutions are dilated, a cell may skip a pixel
 * inside its rectangle; `rf.cells_seeing` in Python looks that closely.)
 */

import { type Cells, countOf, covering, pairsOf, placeInWords } from "../geometry.js";
import type { Edges, LayerRow, Words } from "../protocol.js";

/** The first of some layers of which one cell sees all of a box; null if there is none. */
export function firstCovering(layers: readonly LayerRow[], box: Edges): string | null {
  const sees = ({ field, grid }: LayerRow) => field && countOf(covering(field, grid, box)) > 0;
  return layers.find(sees)?.name ?? null;
}

/** The answer in words: "17 cells of layer mix see pixel (4, 9)". */
export function answerInWords(
  box: Edges,
  cells: Cells,
  layer: string,
  layers: readonly LayerRow[],
  axes: number,
  { element, part }: Pick<Words, "element" | "part">,
): string {
  const count = countOf(cells);
  const pairs = pairsOf(box, axes);
  const who = `${count || "no"} ${count > 1 ? "cells" : "cell"} of layer ${layer} ${count > 1 ? "see" : "sees"}`;
  if (pairs.every(([low, high]) => high - low === 1)) {
    const place = pairs.map(([low]) => low).join(", ");
    return `${who} ${element} ${axes > 1 ? `(${place})` : place}`;
  }
  const first = firstCovering(layers, box);
  const none = layers.length && !count ? "; no layer has such a cell" : "";
  const where = first ? `; first layer with such a cell: ${first}` : none;
  return `${who} all of ${part}${placeInWords(pairs, " to ")}${where}`;
}

/** A function that remembers its last result while its arguments stay the same. */
export function remembering<A extends readonly unknown[], R>(compute: (...args: A) => R): (...args: A) => R {
  let last: { args: A; result: R } | null = null;
  return (...args) => {
    if (!last?.args.every((value, k) => value === args[k])) last = { args, result: compute(...args) };
    return last.result;
  };
}
