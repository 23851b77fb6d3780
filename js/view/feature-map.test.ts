import { expect, it } from "vitest";
import { runs } from "./feature-map.js";

it("runs of neighbours", () => {
  expect(runs([])).toEqual([]);
  expect(runs([2, 3, 4, 7, 9, 10])).toEqual([
    [2, 5],
    [7, 8],
    [9, 11],
  ]);
});
