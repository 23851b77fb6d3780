import { expect, it } from "vitest";
import { STATE } from "../testing.js";
import { imageExtent, stageExtent, stageOf } from "./stage.js";

it("the image is magnified, and the stage is as much larger as its margin", () => {
  expect(imageExtent(STATE)).toEqual({ width: 480, height: 288 });
  expect(stageExtent(STATE)).toEqual({ width: 40 + 480 + 10, height: 20 + 288 + 10 });
});

it("a stage is what its source says of it", () => {
  const { image_size, margin, scale } = STATE;
  expect(stageOf({ get: (name) => STATE[name] })).toEqual({ image_size, margin, scale });
});
