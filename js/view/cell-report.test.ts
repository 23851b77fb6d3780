import { expect, it } from "vitest";
import type { Field, Picture } from "../protocol.js";
import { STATE, WORDS } from "../testing.js";
import { duration, reportOn } from "./cell-report.js";

const { field, image_size: image } = STATE;
const PICTURE = { serial: 1, revision: 1, cell: [0, 3], box: [0, 0, 0, 0], milliseconds: 1, levels: [200] } as const;

it("tells what a cell sees, by how much that overhangs, and how large it is", () => {
  expect(reportOn([0, 0], field, null, image, WORDS)).toEqual({
    name: "(0, 0)",
    lines: [
      ["sees", "x \u221210 \u2013 24, y \u22125 \u2013 28", "overhangs \u2190 10 \u2191 5"],
      ["size", "34 \u00d7 33 px", "stride 4 \u00d7 5"],
      ["50 % within", "\u2026", ""],
      ["95 % within", "\u2026", ""],
    ],
  });
});

it("of a signal it tells samples, and no rows", () => {
  const signal: Field = {
    x: { cells: 1, pixels: 4, edges: [[-10, 24]] },
    y: { cells: 1, pixels: 1, edges: [[0, 1]] },
  };
  const picture = { ...PICTURE, cell: [3, 0], rect: [2, 0, 36, 1], mass: [[0.5, [2, 0, 19, 1]]] };
  expect(reportOn([3, 0], signal, picture as unknown as Picture, [30], { unit: "samples", whole: "length" })).toEqual({
    name: "3",
    lines: [
      ["sees", "2 \u2013 36", "overhangs \u2192 6"],
      ["size", "34 samples", "stride 4"],
      ["50 % within", "17 samples", "61 % of the length"],
    ],
  });
});

it("tells in which box how much of the mass lies, as a part of the field inside the image", () => {
  const picture = {
    ...PICTURE,
    rect: [-10, 10, 24, 43],
    mass: [[0.5, [2, 12, 14, 23]]],
  };
  const { lines } = reportOn([0, 3], field, picture as never, image, WORDS);
  expect(lines[2]).toEqual(["50 % within", "12 \u00d7 11 px", "17 % of the area"]); // 132 of 24 x 33
});

it("tells that nothing responds, and says no more where nobody asked", () => {
  const told = (levels: number[]) => {
    const picture = { ...PICTURE, rect: [0, 0, 9, 9], mass: [], levels };
    return reportOn([0, 3], field, picture as never, image, WORDS).lines.slice(2);
  };
  expect(told([])).toEqual([["gradient", "zero everywhere", ""]]);
  expect(told([200])).toEqual([]);
});

it("tells of an unbounded field, of one of padding alone, and of none", () => {
  const endless = { x: { cells: 1, pixels: 4, edges: null }, y: { cells: 1, pixels: 5, edges: [[0, 9]] } };
  expect(reportOn([3, 3], endless as never, null, image, WORDS).lines[0]).toEqual([
    "sees",
    "x all, y 15 \u2013 24",
    "",
  ]);
  const empty = { ...endless, x: { cells: 1, pixels: 4, edges: [[0, 0]] } };
  expect(reportOn([3, 3], empty as never, null, image, WORDS).lines).toEqual([["sees", "only padding", ""]]);
  expect(reportOn([3, 3], null, null, image, WORDS).lines).toEqual([]);
});

it("tells durations in a few characters", () => {
  expect([0.94, 9.96, 92.8, 999.6, 4888.9, Number.NaN].map(duration)).toEqual([
    ...["0.9 ms", "10 ms", "93 ms", "1.0 s", "4.9 s", ""],
  ]);
});
