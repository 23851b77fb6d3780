/** A cell and its gradient map in words: pure functions. */

import { cellInWords, formatNumber, rectOf, unboundedInWords } from "../geometry.js";
import type { Box, Cell, Field, Picture, Rect } from "../protocol.js";
import type { CellReport } from "./readout.js";

/** What there is to say about a cell of a layer on an image of some size. */
export function reportOn(
  cell: Cell,
  field: Field | null,
  picture: Picture | null,
  image: Cell,
  axes: 1 | 2 = 2,
): CellReport {
  const name = cellInWords(cell, axes);
  const rect = picture?.rect ?? (field && rectOf(field, cell));
  if (!rect || !field) return { name, lines: [] };
  if (rect[0] === rect[2] || rect[1] === rect[3]) return { name, lines: [["sees", "only padding", ""]] };
  const strides = [field.x, field.y].map(({ pixels, cells }) => formatNumber(pixels / cells));
  const stride = axes === 1 || strides[0] === strides[1] ? strides[0] : strides.join(" \u00d7 ");
  const [across, down] = [span(rect[0], rect[2]), span(rect[1], rect[3])];
  const [wide, high] = [length(rect[0], rect[2]), length(rect[1], rect[3])];
  return {
    name,
    lines: [
      ["sees", axes === 1 ? across : `x ${across}, y ${down}`, overhang(rect, image)],
      ["size", axes === 1 ? `${wide} samples` : `${wide} \u00d7 ${high} px`, `stride ${stride}`],
      // The same lines before the map is there: what is below must not jump.
      ...(picture?.mass.map(([share, box]) => massLine(share, box, rect, image, axes)) ?? SHARES.map(noMass)),
    ],
  };
}

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

/** "50 % within 41 x 40 px, 28 % of the field that lies in the image". */
function massLine(share: number, box: Box, rect: Rect, [width, height]: Cell, axes: 1 | 2): [string, string, string] {
  const [left, top, right, bottom] = box;
  const across = Math.min(rect[2], width) - Math.max(rect[0], 0);
  const along = Math.min(rect[3], height) - Math.max(rect[1], 0);
  const part = ((right - left) * (bottom - top)) / Math.max(across * along, 1);
  const size = axes === 1 ? `${right - left} samples` : `${right - left} \u00d7 ${bottom - top} px`;
  const whole = axes === 1 ? "length" : "area";
  return [`${Math.round(share * 100)} % within`, size, `${Math.round(part * 100)} % of the ${whole}`];
}

/** By how much a field reaches beyond the image: "overhangs ← 12 ↑ 3", in pixels. */
function overhang([left, top, right, bottom]: Rect, [width, height]: Cell): string {
  const sides: [string, number][] = [
    ["\u2190", -left],
    ["\u2191", -top],
    ["\u2192", right - width],
    ["\u2193", bottom - height],
  ];
  const out = sides
    .filter(([, by]) => by > 0 && Number.isFinite(by))
    .map(([side, by]) => `${side} ${formatNumber(by)}`);
  return out.length ? `overhangs ${out.join(" ")}` : "";
}

function span(low: number, high: number): string {
  return Number.isFinite(high - low)
    ? `${formatNumber(low)} \u2013 ${formatNumber(high)}`
    : unboundedInWords(low, high);
}

function length(low: number, high: number): string {
  return Number.isFinite(high - low) ? formatNumber(high - low) : "\u221e";
}
