import { expect, it } from "vitest";
import { STATE } from "../testing.js";
import { heatPlace, imageExtent, layOut, magnified, type Stage, scalesOf, stageExtent, stageOf } from "./stage.js";

it("the image is magnified, and the stage is as much larger as its margin", () => {
  expect(imageExtent(STATE)).toEqual({ width: 480, height: 288 });
  expect(stageExtent(STATE)).toEqual({ width: 40 + 480 + 10, height: 20 + 288 + 10 });
});

it("a stage is what its source says of it", () => {
  const { image_size, margin, scale, stretch } = STATE;
  expect(stageOf({ get: (name) => STATE[name] })).toEqual({ image_size, margin, scale, stretch });
});

it("beside the column a stage that fits stands as it is, and a larger one is shrunk", () => {
  const stage: Stage = { image_size: [48, 48], scale: 10, margin: [10, 10, 10, 10], stretch: 1 };
  expect(layOut(stage, 1000, 480)).toEqual({ stacked: false, picture: { width: 504, height: 504 }, factor: 1 });
  expect(layOut(stage, 780, 480).factor).toBe(0.9);
  expect(layOut(stage, 0, 480).factor).toBe(1); // not in the page yet
});

it("in a narrow place the column stands below, and the picture takes the width", () => {
  const stage: Stage = { image_size: [48, 48], scale: 10, margin: [10, 10, 10, 10], stretch: 1 };
  expect(layOut(stage, 400, 480)).toEqual({ stacked: true, picture: { width: 400, height: 400 }, factor: 0.8 });
});

it("on the whole screen it grows as far as there is room", () => {
  const stage: Stage = { image_size: [48, 48], scale: 10, margin: [10, 10, 10, 10], stretch: 1 };
  expect(layOut(stage, 1900, Infinity, 750).factor).toBe(1.5);
});

it("magnified, everything grows", () => {
  const stage: Stage = { image_size: [4, 3], scale: 10, margin: [1, 2, 3, 4], stretch: 1 };
  expect(magnified(stage, 2)).toEqual({ image_size: [4, 3], scale: 20, margin: [2, 4, 6, 8], stretch: 1 });
});

/** A signal of 200 samples, two CSS pixels each and 120 high. */
const SIGNAL: Stage = { image_size: [200, 1], scale: 2, stretch: 60, margin: [10, 12, 14, 16] };

it("the row of a signal is stretched: pixels are higher than they are wide", () => {
  expect(scalesOf(SIGNAL)).toEqual([2, 120]);
  expect(imageExtent(SIGNAL)).toEqual({ width: 400, height: 120 });
  expect(stageExtent(SIGNAL)).toEqual({ width: 424, height: 148 });
  expect(imageExtent(magnified(SIGNAL, 3))).toEqual({ width: 1200, height: 360 });
});

it("the heat map of an image lies over its box, that of a signal in the strip at the bottom", () => {
  expect(heatPlace(STATE, [2, 3, 12, 7])).toEqual([6, 9, 30, 12]);
  const [x, y, width, height] = heatPlace(SIGNAL, [30, 0, 80, 1]);
  expect([x, width]).toEqual([60, 100]);
  expect(y).toBeCloseTo(100.8);
  expect(y + height).toBeCloseTo(120);
});
