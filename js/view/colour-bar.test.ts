import { expect, it } from "vitest";
import { short, ticksOf } from "./colour-bar.js";

it("numbers in a few characters", () => {
  expect([0, 0.306, 12.34, -5.9, 170.2, 3.2e-7, 1.5e9].map(short)).toEqual([
    ...["0", "0.31", "12", "\u22125.9", "170", "3.2e-7", "1.5e9"],
  ]);
});

it("ticks at the ends and the middle; one where all is the same", () => {
  expect(ticksOf([0, 4])).toEqual([
    [0, "0"],
    [0.5, "2"],
    [1, "4"],
  ]);
  expect(ticksOf([3, 3])).toEqual([[0, "3"]]);
});
