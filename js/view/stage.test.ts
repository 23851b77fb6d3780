import { expect, it } from "vitest";
import { STATE } from "../testing.js";
import { imageExtent, layOut, magnified, type Stage, stageExtent, stageOf } from "./stage.js";

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
