// @vitest-environment happy-dom
import { beforeAll, expect, it, vi } from "vitest";
import type { Picture } from "../protocol.js";
import { FakeStack, PALETTE, STATE } from "../testing.js";
import { CanvasPainter, layerPainter, thinned } from "./painter.js";

const PICTURE: Picture = {
  serial: 1,
  revision: 1,
  cell: [3, 2],
  box: [4, 6, 6, 9],
  rect: [4, 6, 38, 39],
  milliseconds: 1,
  step: 1,
  full: 2,
  weight: 5,
  mass: [],
  levels: new Uint8ClampedArray(6).fill(200),
};

const look = (opacity: number, spotlight = false) => ({ opacity, spotlight, palette: PALETTE });

beforeAll(() => {
  vi.stubGlobal(
    "ImageData",
    class {
      constructor(
        readonly data: Uint8ClampedArray,
        readonly width: number,
        readonly height: number,
      ) {}
    },
  );
});

it("a layer painter draws at image scale in backing pixels, behind the margin, unsmoothed and translucent", async () => {
  const stack = new FakeStack(3);
  const layer = stack.layers[1];
  await layerPainter(stack, 1, () => {})?.paint(PICTURE, look(0.4), STATE);
  expect(layer?.call("setTransform")).toEqual([2, 0, 0, 2, 80, 40]);
  expect(layer?.call("drawImage")?.slice(1)).toEqual([12, 18, 6, 9]);
  expect(layer?.ctx).toMatchObject({ globalAlpha: 0.4, imageSmoothingEnabled: false });
  expect(layer?.paints).toBe(1);
  expect(stack.layers[0]?.calls).toEqual([]);
  for (const copy of [stack.whole, stack.view]) {
    const drawn = copy.calls.filter(([name]) => name === "drawImage").map(([, canvas]) => canvas);
    expect(drawn).toEqual(stack.layers.map(({ canvas }) => canvas));
  }
});

it("a layer painter leaves the layer's state as it was", async () => {
  const stack = new FakeStack(2);
  const layer = stack.layers[0];
  await layerPainter(stack, 0, () => {})?.paint(PICTURE, look(1), STATE);
  expect(layer?.calls[0]).toEqual(["save"]);
  expect(layer?.calls.at(-1)).toEqual(["restore"]);
});

it("a layer painter clears the whole layer, and draws nothing if there is no picture or no pixel", async () => {
  const stack = new FakeStack(3);
  const painter = layerPainter(stack, 1, () => {});
  await painter?.paint(null, look(1), STATE);
  await painter?.paint({ ...PICTURE, box: [0, 0, 0, 0], levels: new Uint8ClampedArray() }, look(1), STATE);
  expect(stack.layers[1]?.call("clearRect")).toEqual([0, 0, 1060, 636]);
  expect(stack.layers[1]?.call("drawImage")).toBeUndefined();
});

it("a layer painter draws only where two pictures are, unless anything else has changed", async () => {
  const stack = new FakeStack(3);
  const layer = stack.layers[1];
  const painter = layerPainter(stack, 1, () => {});
  const clips = (from: number) =>
    [layer, stack.whole, stack.view].map((canvas) => {
      const calls = canvas?.calls.slice(from) ?? [];
      const end = calls.findIndex(([name]) => name === "clip");
      return calls.slice(0, end).flatMap(([name, ...area]) => (name === "rect" ? [area] : []));
    });
  const paint = async (picture: Picture | null, how = look(1)) => {
    for (const canvas of [layer, stack.whole, stack.view]) canvas?.calls.splice(0);
    await painter?.paint(picture, how, STATE);
    return clips(0);
  };
  const all = [[0, 0, 1060, 636]];
  // Columns 4 to 38 and rows 6 to 39, 3 CSS pixels wide and high, twice as many backing pixels, behind the margin.
  const first = [80 + 24 - 1, 40 + 36 - 1, 204 + 2, 198 + 2];
  // A heat map that reaches beyond its field is inside as well.
  const other: Picture = { ...PICTURE, rect: [-Infinity, 90, 10, 200], box: [8, 88, 12, 91] };
  const second = [80 - 1, 40 + 528 - 1, 72 + 2, 48 + 2];
  expect(await paint(PICTURE)).toEqual([all, all, all]);
  expect(await paint(other)).toEqual(Array(3).fill([first, second]));
  expect(await paint(PICTURE, look(0.5))).toEqual([all, all, all]);
  expect(await paint(PICTURE, { ...look(0.5), palette: { ...PALETTE } })).toEqual([all, all, all]);
  expect(await paint(null, look(0.5))).toEqual([all, all, all]);
  expect(await paint(PICTURE)).toEqual([all, all, all]);
  stack.layers[1]?.resized?.();
  expect(await paint(PICTURE)).toEqual([all, all, all]);
});

it("a layer painter settles when the views have drawn", async () => {
  const stack = new FakeStack(2);
  let drawn = () => {};
  const views = { view: new Promise<object>((resolve) => (drawn = () => resolve({}))) };
  let settled = false;
  const { ctx } = stack;
  const painted = layerPainter({ get: () => stack.get(), ctx, views }, 0, () => {})?.paint(PICTURE, look(1), STATE);
  void painted?.then(() => (settled = true));
  await Promise.resolve();
  expect(settled).toBe(false);
  drawn();
  await painted;
  expect(settled).toBe(true);
});

it("a layer painter tells when a resize has emptied its layer, until it is closed", () => {
  const stack = new FakeStack(2);
  const lost = vi.fn();
  const painter = layerPainter(stack, 1, lost);
  stack.layers[1]?.resized?.();
  expect(lost).toHaveBeenCalledTimes(1);
  painter?.close();
  expect(stack.layers[1]?.resized).toBeNull();
});

it.each([
  ["no model", null],
  ["a model of another kind", { get: () => undefined }],
  ["too few layers", new FakeStack(1)],
  ["layers that cannot be drawn on", { get: () => [{}, {}], ctx: {} }],
  ["a stack that cannot be drawn on", { get: () => new FakeStack(2).get() }],
])("there is no layer painter for %s", (_, stack) => expect(layerPainter(stack, 1, () => {})).toBeNull());

it("a layer painter dims the image around the field, under the heat map and at full strength", async () => {
  const stack = new FakeStack(3);
  const layer = stack.layers[1];
  await layerPainter(stack, 1, () => {})?.paint({ ...PICTURE, rect: [-5, 6, 38, Infinity] }, look(0.4, true), STATE);
  const rects = layer?.calls.filter(([name]) => name === "rect").map((call) => call.slice(1));
  expect(rects).toEqual([
    [0, 0, 1060, 636],
    [0, 0, 480, 288],
    [0, 18, 114, 270],
  ]);
  const names = layer?.calls.map(([name]) => name) ?? [];
  expect(layer?.call("fill")).toEqual(["evenodd"]);
  expect(names.indexOf("fill")).toBeLessThan(names.indexOf("drawImage"));
});

it("a canvas painter has one pixel per image pixel, and its opacity", async () => {
  const canvas = document.createElement("canvas");
  const context = { drawImage: vi.fn(), globalAlpha: 1 };
  canvas.getContext = (() => context) as unknown as typeof canvas.getContext;
  await new CanvasPainter(canvas).paint(PICTURE, look(0.4), STATE);
  expect([canvas.width, canvas.height]).toEqual([160, 96]);
  expect(context.globalAlpha).toBe(0.4);
  expect(context.drawImage.mock.calls[0]?.slice(1)).toEqual([4, 6, 2, 3]);
});

it("of a row that is longer than a canvas is wide every second or third byte is drawn", () => {
  const row = new Uint8ClampedArray([1, 2, 3, 4, 5, 6, 7]);
  expect([...thinned(row, 3)]).toEqual([1, 4, 7]);
  expect(thinned(row, 1)).toBe(row);
});
