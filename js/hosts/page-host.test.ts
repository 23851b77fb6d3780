import { describe, expect, it, vi } from "vitest";
import type { Cell, Palette } from "../protocol.js";
import { CONTROLS, STATE, settled, WORDS } from "../testing.js";
import type { Decode } from "./decode.js";
import { nearestOf, type Page, PageHost, type PageLayer } from "./page-host.js";

const { image_size, scale, stretch, axes, volume, margin, grid, field, label, layer } = STATE;
const CELLS: Cell[] = [
  [0, 0],
  [10, 0],
  [20, 0],
  [0, 8],
  [10, 8],
  [20, 8],
];
const LAYER: PageLayer = {
  ...{ image_size, scale, stretch, axes, volume, margin, grid, field, label, layer },
  selected: [10, 8],
  contours: null,
  dots_every: 1,
  marks: [],
  features: "",
  range: [0, 1],
  sheets: [CELLS.slice(0, 4), CELLS.slice(4)].map((cells) => ({
    picture: `${cells[0]}`,
    size: [4, 16],
    maps: cells.map((cell) => ({ cell, box: [1, 2, 4, 6], step: 1, full: 2, weight: 3, mass: [] })),
  })),
};
const OTHER: PageLayer = { ...LAYER, layer: "other", grid: [3, 2], selected: null, sheets: [] };
/** Each pixel is as bright as its number. */
const pixels = Uint8ClampedArray.from({ length: 4 * 64 }, (_, k) => k >> 2);
const text = (bytes: number[]) => btoa(String.fromCharCode(...bytes));
/** From black to white, or the other way round. */
const table = (by: 1 | -1) => text(Array.from({ length: 768 }, (_, k) => (255 + by * Math.floor(k / 3)) % 255));
/** Byte 7 has that colour, and is as opaque as its number. */
const ramp = (place: number, ranked = false) => ({
  ...{
    index: text(Array.from({ length: 256 }, (_, k) => (k === 7 ? place : 0))),
    ranked,
    ticks: [[0, place]] as [[number, number]],
  },
  opacity: text(Array.from({ length: 256 }, (_, k) => k)),
});
const PAGE: Omit<Page, "shown"> = {
  photo: "photo",
  heat_opacity: 0.7,
  layers: [],
  compare: "",
  query: null,
  asking: false,
  height: 480,
  controls: CONTROLS,
  palettes: {
    tables: { grey: table(1), magma: table(1), coolwarm: table(-1) },
    automatic: ["magma", "coolwarm"],
    scales: { sqrt: [ramp(0), ramp(1)], percentile: [ramp(2, true), ramp(3, true)] },
  },
  input: "",
  words: WORDS,
  pixels: "pixels",
};
const open = (shown: Page["shown"], decode: Decode = async () => pixels, more: Partial<Page> = {}) =>
  new PageHost({ ...PAGE, ...more, shown }, decode);

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
  it("begins with its selected cell, whose picture is decoded first", async () => {
    const decoded: string[] = [];
    const host = open([LAYER], async (address) => {
      decoded.push(address);
      return pixels;
    });
    await settled();
    expect(decoded).toEqual(["10,8", "0,0"]);
    expect(host.selected).toEqual([10, 8]);
    expect(host.picture).toMatchObject({ cell: [10, 8], box: [1, 2, 4, 6], rect: [30, 35, 64, 68], full: 2 });
  });

  it("takes each map out of the picture that holds it", async () => {
    const host = open([LAYER]);
    await settled();
    host.request([20, 8]);
    const row = (k: number) => [k, k + 1, k + 2];
    expect([...(host.picture?.levels ?? [])]).toEqual([16, 20, 24, 28].flatMap(row));
    host.request([0, 0]);
    expect([...(host.picture?.levels ?? [])]).toEqual([0, 4, 8, 12].flatMap(row));
  });

  it("shows a selected cell once it is decoded", async () => {
    const decoded: Record<string, (rgba: typeof pixels) => void> = {};
    const host = open([{ ...LAYER, selected: null }], (address) => {
      return new Promise((resolve) => (decoded[address] = resolve));
    });
    host.request([20, 8]);
    decoded["0,0"]?.(pixels);
    await settled();
    expect(host.shown).toBeNull();
    decoded["10,8"]?.(pixels);
    await settled();
    expect(host.shown?.cell).toEqual([20, 8]);
  });

  it("shows the map under the pointer, and the selected one when the pointer has gone or live is off", async () => {
    const host = open([LAYER]);
    await settled();
    host.hover([0, 8]);
    expect([host.shown?.cell, host.picture?.cell]).toEqual([
      [0, 8],
      [10, 8],
    ]);
    host.hover([1, 8]);
    expect(host.shown?.cell).toEqual([10, 8]);
    host.hover([0, 8]);
    host.set("live", false);
    expect([host.shown?.cell, host.live.wanted]).toEqual([[10, 8], 0]);
    host.set("live", true);
    expect([host.shown?.cell, host.live]).toEqual([[0, 8], { held: 6, wanted: 6, cells: 512, coarse: false }]);
    host.hover(null);
    expect(host.shown?.cell).toEqual([10, 8]);
  });

  it("shows another layer with that layer's cell", () => {
    const host = open([LAYER, OTHER]);
    const changed = vi.fn();
    host.watch(changed, new AbortController().signal);
    host.choose("other");
    expect([host.get("layer"), host.get("grid"), host.selected, host.picture]).toEqual(["other", [3, 2], null, null]);
    expect(changed).toHaveBeenCalled();
  });

  it("shows no layer that it does not hold", () => {
    const host = open([LAYER, OTHER]);
    host.choose("third");
    expect([host.get("layer"), [...host.offered]]).toEqual(["feature_grid", ["feature_grid", "other"]]);
  });

  it("that drops a layer while its picture is decoded does not show it on the next", async () => {
    const host = open([LAYER, OTHER]);
    host.choose("other");
    await Promise.resolve();
    expect(host.picture).toBeNull();
  });

  it("shows the layer's output beside the image", async () => {
    const host = open([{ ...LAYER, features: "features" }]);
    expect(host.get("feature_map")).toBeNull();
    await Promise.resolve();
    expect(host.get("feature_map")).toMatchObject({ size: [32, 16] });
  });

  it("colours its maps, and their bar, as its controls say, and not in what it lacks", () => {
    const host = open([LAYER]);
    const changed = vi.fn();
    host.watch(changed, new AbortController().signal);
    /** The colour of byte 7, whether it is a share, and the first tick and the second colour of the bar. */
    const look = () => {
      const { rgba, ranked, ticks } = host.get("palette") as Palette;
      const colour = [0, 1, 2, 3].map((k) => rgba.getUint8(28 + k));
      return [colour, ranked, ticks[0]?.[1], host.get("controls")?.colours[1]];
    };
    expect(look()).toEqual([[0, 0, 0, 7], false, 0, "rgb(17 17 17)"]);
    host.set("signed", true);
    expect(look()).toEqual([[254, 254, 254, 7], false, 1, "rgb(238 238 238)"]);
    host.set("heat_scale", "percentile");
    expect(look()).toEqual([[252, 252, 252, 7], true, 3, "rgb(238 238 238)"]);
    expect(changed).toHaveBeenCalledTimes(2);
    host.set("colormap", "grey");
    expect(look()).toEqual([[3, 3, 3, 7], true, 3, "rgb(17 17 17)"]);
    const before = host.get("palette");
    host.set("heat_scale", "cubic");
    expect(host.get("palette")).toBe(before);
    host.set("show_dots", false);
    expect([host.get("palette") === before, host.get("controls")]).toMatchObject([
      true,
      { signed: true, colormap: "grey", colours: { length: 16 } },
    ]);
  });

  it("answers queries by itself", () => {
    const host = open([LAYER]);
    host.ask([1, 2, 3, 4]);
    expect(host.query).toEqual([1, 2, 3, 4]);
    host.ask(null);
    expect(host.query).toBeNull();
  });

  it("begins with the query that it brings, until another is asked", () => {
    const host = open([LAYER], undefined, { query: [5, 6, 9, 7] });
    expect([host.query, host.get("query")]).toEqual([
      [5, 6, 9, 7],
      [5, 6, 9, 7],
    ]);
    host.ask(null);
    expect([host.query, host.get("query")]).toEqual([null, null]);
  });

  it("asks without Shift once that is switched on, and forgets the query when it is switched off", () => {
    const host = open([LAYER], undefined, { query: [5, 6, 9, 7], asking: true });
    expect(host.get("asking")).toBe(true);
    host.set("asking", false);
    expect([host.get("asking"), host.query]).toEqual([false, null]);
    host.set("asking", true);
    host.ask([1, 2, 3, 4]);
    expect([host.get("asking"), host.query]).toEqual([true, [1, 2, 3, 4]]);
  });

  it("compares with the layer that it names, and outlines each layer's own effective field", () => {
    const contours = { x: { start: 0, stride: 4 }, y: { start: 1, stride: 5 }, levels: [] };
    const host = open([LAYER, { ...OTHER, contours }], undefined, { compare: "other" });
    expect([host.get("compare"), host.get("contours")]).toEqual(["other", null]);
    host.choose("other");
    expect([host.get("compare"), host.get("contours")]).toEqual(["other", contours]);
  });

  it("says how many gradient maps it holds, unless it holds all", () => {
    expect(open([LAYER]).activity.text).toBe("gradient maps of 6 of 512 cells");
    expect(open([{ ...LAYER, grid: [3, 2] }]).activity.text).toBe("");
  });
});
