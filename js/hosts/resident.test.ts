import { describe, expect, it } from "vitest";
import type { Cell, Picture } from "../protocol.js";
import { ResidentMaps, underPointer } from "./resident.js";

const map = (cell: Cell, step = 1) => ({ cell, step }) as unknown as Picture;

describe("the maps that are there", () => {
  it("are found by their cell", () => {
    const maps = new ResidentMaps();
    const [a, b] = [map([1, 12]), map([11, 2])];
    maps.add(a);
    maps.add(b);
    expect([maps.get([1, 12]), maps.get([11, 2]), maps.get([2, 1]), maps.get(null), maps.size]).toEqual([
      a,
      b,
      null,
      null,
      2,
    ]);
  });

  it("become exact and never coarse again, and tell whether any is coarse", () => {
    const maps = new ResidentMaps();
    maps.add(map([1, 1], 2));
    expect(maps.coarse).toBe(true);
    maps.add(map([1, 1]));
    maps.add(map([1, 1], 2));
    expect([maps.coarse, maps.get([1, 1])?.step, maps.size]).toEqual([false, 1, 1]);
  });

  it("give way when there are too many, the farthest first", () => {
    const maps = new ResidentMaps();
    for (let x = 0; x < 40; x++) maps.add(map([x, 0], 2));
    maps.trim(18, [30, 0]);
    expect(maps.size).toBe(18);
    expect([maps.get([30, 0]) !== null, maps.get([38, 0]) !== null, maps.get([0, 0]), maps.coarse]).toEqual([
      true,
      true,
      null,
      true,
    ]);
    maps.trim(10, [30, 0]);
    expect(maps.size).toBe(18);
  });

  it("are that of the pointer unless the selected cell is under it", () => {
    const maps = new ResidentMaps();
    maps.add(map([1, 1]));
    expect(underPointer(maps, [1, 1], [2, 2])?.cell).toEqual([1, 1]);
    expect([underPointer(maps, [1, 1], [1, 1]), underPointer(maps, null, [2, 2])]).toEqual([null, null]);
  });
});
