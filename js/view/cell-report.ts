/** A cell and its gradient map in words: pure functions. */

import { axesOf, cellInWords, fieldOf, formatNumber, pairsOf, placeInWords, sizeInWords } from "../geometry.js";
import type { Cell, Edges, Field, Picture, Words } from "../protocol.js";
import type { CellReport } from "./readout.js";

/** What there is to say about a cell of a layer; `lengths` are those of what the model takes, along x, y, ... */
export function reportOn(
  cell: Cell,
  field: Field | null,
  picture: Picture | null,
  lengths: readonly number[],
  { unit, whole }: Pick<Words, "unit" | "whole">,
): CellReport {
  const axes = lengths.length;
  const name = cellInWords(cell, axes);
  const edges = picture?.rect ?? (field && fieldOf(field, cell));
  if (!edges || !field) return { name, lines: [] };
  const pairs = pairsOf(edges, axes);
  if (pairs.some(([low, high]) => low === high)) return { name, lines: [["sees", "only padding", ""]] };
  const strides = axesOf(field)
    .slice(0, axes)
    .map(({ pixels, cells }) => formatNumber(pixels / cells));
  const stride = new Set(strides).size === 1 ? strides[0] : strides.join(" \u00d7 ");
  /** "50 % within 41 x 40 px, 28 % of the field that lies in the image". */
  const massLine = ([share, box]: readonly [number, Edges]): [string, string, string] => {
    const sides = pairsOf(box, axes);
    const part = sides.reduce((part, [first, last], k) => {
      const [low, high] = pairs[k] ?? [0, 0];
      return (part * (last - first)) / Math.max(Math.min(high, lengths[k] ?? 0) - Math.max(low, 0), 1);
    }, 1);
    const of = part < 0.005 ? "< 1" : Math.round(part * 100);
    return [`${Math.round(share * 100)} % within`, `${sizeInWords(sides)} ${unit}`, `${of} % of the ${whole}`];
  };
  return {
    name,
    lines: [
      ["sees", placeInWords(pairs, " \u2013 "), overhang(pairs, lengths)],
      ["size", `${sizeInWords(pairs)} ${unit}`, `stride ${stride}`],
      // The same lines before the map is there: what is below must not jump.
      ...(picture?.levels.length === 0 ? [NOTHING] : (picture?.mass.map(massLine) ?? SHARES.map(noMass))),
    ],
  };
}

/** What there is to say of an empty map: as of the mean of channels that have been normalised. */
const NOTHING = ["gradient", "zero everywhere", ""] as const;

/** Shares of the mass that the kernel tells of, as `SHARES` in rfwidget/widget/heat.py. */
const SHARES = [0.5, 0.95];

function noMass(share: number): [string, string, string] {
  return [`${Math.round(share * 100)} % within`, "\u2026", ""];
}

/** How long something took, in a few characters; "" if that is not known. */
export function duration(milliseconds: number): string {
  if (!Number.isFinite(milliseconds)) return "";
  if (milliseconds >= 999.5) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${milliseconds < 9.95 ? milliseconds.toFixed(1) : milliseconds.toFixed(0)} ms`;
}

/** Before and behind the image along x, y and z. */
const SIDES = ["\u2190", "\u2191", "\u2212z", "\u2192", "\u2193", "+z"];

/** By how much a field reaches beyond the image: "overhangs \u2190 12 \u2191 3", in pixels. */
function overhang(pairs: readonly (readonly [number, number])[], lengths: readonly number[]): string {
  const before = pairs.map(([low]) => -low);
  const behind = pairs.map(([, high], k) => high - (lengths[k] ?? 0));
  const out = [before, behind].flatMap((beyond, end) =>
    beyond.flatMap((by, k) => (by > 0 && Number.isFinite(by) ? [`${SIDES[3 * end + k]} ${formatNumber(by)}`] : [])),
  );
  return out.length ? `overhangs ${out.join(" ")}` : "";
}
