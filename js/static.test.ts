import { describe, expect, it, vi } from "vitest";
import type { Cell } from "./model.js";
import { nearestOf, type PageLayer, StaticHost } from "./static.js";
import { STATE } from "./testing.js";

const { image_size, scale, margin, grid, field, label, layer } = STATE;
const CELLS: Cell[] = [
  [0, 0],
  [10, 0],
  [20, 0],
  [0, 8],
  [10, 8],
  [20, 8],
];
const LAYER: PageLayer = {
  ...{ image_size, scale, margin, grid, field, label, layer },
  selected: [10, 8],
  scene: "scene",
  maps: CELLS.map((cell) => ({ cell, box: [1, 2, 3, 4], rect: [1, 2, null, 6], picture: `${cell}` })),
};
const pixels = new Uint8ClampedArray(48);

describe("the nearest of some cells", () => {
  it("is the wanted one if it is among them", () => {
    for (const cell of CELLS) expect(nearestOf(CELLS, cell, [0, 0])).toEqual(cell);
  });

  it("is the one at the least distance", () => {
    expect(nearestOf(CELLS, [13, 5], null)).toEqual([10, 8]);
    expect(nearestOf(CELLS, [31, 15], [0, 0])).toEqual([20, 8]);
  });

  it("lies ahead when a step would stay where it is", () => {
    expect(nearestOf(CELLS, [11, 8], [10, 8])).toEqual([20, 8]);
    expect(nearestOf(CELLS, [9, 8], [10, 8])).toEqual([0, 8]);
    expect(nearestOf(CELLS, [10, 7], [10, 8])).toEqual([10, 0]);
  });

  it("is the same at the border, and when the same is wanted again", () => {
    expect(nearestOf(CELLS, [21, 8], [20, 8])).toEqual([20, 8]);
    expect(nearestOf(CELLS, [20, 8], [20, 8])).toEqual([20, 8]);
  });

  it("is none of none", () => expect(nearestOf([], [1, 1], null)).toBeNull());
});

describe("a page", () => {
  it("begins with its selected cell", async () => {
    const host = new StaticHost(LAYER, async () => pixels);
    await Promise.resolve();
    expect(host.selected).toEqual([10, 8]);
    expect(host.picture).toMatchObject({ cell: [10, 8], box: [1, 2, 3, 4], rect: [1, 2, Infinity, 6] });
  });

  it("shows the cell asked for last, in whatever order pictures are decoded", async () => {
    const decoded: Record<string, (rgba: typeof pixels) => void> = {};
    const host = new StaticHost({ ...LAYER, selected: null }, (address) => {
      return new Promise((resolve) => (decoded[address] = resolve));
    });
    host.request([0, 0], "click");
    host.request([20, 8], "click");
    decoded["20,8"]?.(pixels);
    decoded["0,0"]?.(pixels);
    await Promise.resolve();
    expect(host.picture?.cell).toEqual([20, 8]);
  });

  it("shows another layer with that layer's cell", async () => {
    const host = new StaticHost(LAYER, async () => pixels);
    const changed = vi.fn();
    host.watch(changed, new AbortController().signal);
    host.show({ ...LAYER, layer: "other", grid: [3, 2], selected: null, maps: [] });
    expect([host.get("layer"), host.get("grid"), host.selected, host.picture]).toEqual(["other", [3, 2], null, null]);
    expect(changed).toHaveBeenCalled();
  });

  it("that drops a layer while its picture is decoded does not show it on the next", async () => {
    const host = new StaticHost(LAYER, async () => pixels);
    host.show({ ...LAYER, selected: null });
    await Promise.resolve();
    expect(host.picture).toBeNull();
  });

  it("says how many gradient maps it holds, unless it holds all", () => {
    expect(new StaticHost(LAYER, async () => pixels).activity.text).toBe("gradient maps of 6 of 512 cells");
    const whole = { ...LAYER, grid: [3, 2] as [number, number] };
    expect(new StaticHost(whole, async () => pixels).activity.text).toBe("");
  });
});
