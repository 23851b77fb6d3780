/**
 * Puts a heat map on the screen: into the MultiCanvas under the overlay, or onto a canvas of the overlay's own.
 *
 * One interface, two implementations; neither knows where pictures come from.
 */

import { clamp } from "../geometry.js";
import { sizeOf } from "../hosts/resident.js";
import type { Cell, Edges, Palette, Picture, SyncedState } from "../protocol.js";
import { coloured } from "./palette.js";
import { heatPlace, imageExtent, type Stage, scalesOf, stageExtent } from "./stage.js";

/** A part of the picture that is dimmed, and the field in it that is not. */
export type Spot = readonly [part: Edges, field: Edges];

/** How heat maps look. */
export interface Look {
  opacity: number;
  /** Whether the image around the field is dimmed. */
  spotlight: boolean;
  palette: Palette | null;
}

/** How heat maps look to whoever knows the state. */
export function lookOf(source: { get<K extends keyof SyncedState>(name: K): SyncedState[K] }): Look {
  const spotlight = source.get("controls")?.spotlight ?? false;
  return { opacity: source.get("heat_opacity"), spotlight, palette: source.get("palette") };
}

export interface Painter {
  /** Shows a picture in place of the last one, before it returns; null: none. Settles when it is on the screen. */
  paint(picture: Picture | null, look: Look, stage: Stage): Promise<void>;
  close(): void;
}

/** The part of ipycanvas' CanvasModel that a painter uses. */
export interface LayerModel {
  canvas: HTMLCanvasElement;
  ctx: CanvasRenderingContext2D;
  on(events: string, callback: () => void): void;
  off(events: string, callback: () => void): void;
}

/** The part of ipycanvas' MultiCanvasModel that a painter uses: its own canvas shows all layers, and views show that. */
export interface StackModel {
  get(name: "_canvases"): LayerModel[];
  ctx: CanvasRenderingContext2D;
  views?: Record<string, Promise<{ ctx?: CanvasRenderingContext2D }>>;
}

const RESIZED = "change:width change:height";

/** A part of a canvas in backing pixels: left, top, width, height. */
type Area = readonly [number, number, number, number];

/**
 * Paints into one layer of a MultiCanvas, for all of its views at once.
 *
 * Only what differs from the picture before is drawn: while the mouse moves, everything on the way from the layer to the
 * screen is drawn for every cell, and most of it stays as it was.
 */
export class LayerPainter implements Painter {
  readonly #stack: StackModel;
  readonly #layer: LayerModel;
  readonly #lost: () => void;
  readonly #sheet = document.createElement("canvas");
  /** What is on the layer: the picture's place, and all that has to be the same for the rest to stay. */
  #before: { area: Area; rest: string; palette: Palette | null } | null = null;

  /** `lost` is called when the layer has lost its content. */
  constructor(stack: StackModel, layer: LayerModel, lost: () => void) {
    this.#stack = stack;
    this.#layer = layer;
    this.#lost = () => {
      this.#before = null;
      lost();
    };
    layer.on(RESIZED, this.#lost);
  }

  async paint(picture: Picture | null, look: Look, stage: Stage): Promise<void> {
    const { canvas, ctx } = this.#layer;
    const { margin } = stage;
    const { opacity, spotlight, palette } = look;
    // The backing pixels are Python's choice: CSS pixels times a device scale.
    const density = canvas.width / stageExtent(stage).width;
    const areas = this.#changed(picture, look, stage, density);
    ctx.save();
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    keepTo(ctx, areas);
    ctx.clearRect(0, 0, canvas.width, canvas.height);
    const place = () => ctx.setTransform(density, 0, 0, density, margin[0] * density, margin[1] * density);
    if (picture && spotlight) {
      place();
      dim(ctx, spotIn(stage, picture), stage);
    }
    if (picture && fill(this.#sheet, picture, palette)) {
      ctx.globalAlpha = opacity;
      ctx.globalCompositeOperation = "source-over";
      ctx.imageSmoothingEnabled = false;
      place();
      ctx.drawImage(this.#sheet, ...heatPlace(stage, picture.box));
    }
    ctx.restore();
    const layers = this.#stack.get("_canvases").map((layer) => layer.canvas);
    copy(this.#stack.ctx, layers, areas);
    const views = Object.values(this.#stack.views ?? {});
    await Promise.allSettled(views.map(async (view) => copy((await view).ctx, layers, areas)));
  }

  /** Where the layer will differ from what is on it. */
  #changed(picture: Picture | null, { palette, ...look }: Look, stage: Stage, density: number): Area[] {
    const { canvas } = this.#layer;
    const before = this.#before;
    const rest = JSON.stringify([look, stage, canvas.width, canvas.height]);
    const area = picture && areaOf(picture, stage, density);
    this.#before = area && { area, rest, palette };
    const same = area && before?.rest === rest && before.palette === palette;
    return same ? [before.area, area] : [[0, 0, canvas.width, canvas.height]];
  }

  close(): void {
    this.#layer.off(RESIZED, this.#lost);
  }
}

/**
 * Paints onto a canvas that lies over the image, one pixel per image pixel, or of a signal as many as can be told apart;
 * CSS magnifies it.
 */
export class CanvasPainter implements Painter {
  readonly #canvas: HTMLCanvasElement;
  readonly #sheet = document.createElement("canvas");

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
  }

  async paint(
    picture: Picture | null,
    { opacity, spotlight, palette }: Look,
    stage: Stage,
    spots: readonly Spot[] | null = null,
  ): Promise<void> {
    // Setting the size also clears.
    const own = backing(stage);
    const { width, height } = imageExtent(own);
    [this.#canvas.width, this.#canvas.height] = [Math.round(width), Math.round(height)];
    const context = this.#canvas.getContext("2d");
    if (!picture || !context) return;
    if (spotlight) for (const spot of spots ?? [spotIn(own, picture)]) dim(context, spot, own);
    if (fill(this.#sheet, picture, palette)) {
      context.globalAlpha = opacity;
      context.imageSmoothingEnabled = false;
      context.drawImage(this.#sheet, ...heatPlace(own, picture.box));
    }
  }

  close(): void {}
}

/** Where a picture is: its heat map, and the field that is not dimmed. */
function areaOf(picture: Picture, stage: Stage, density: number): Area {
  const [, [x, y, w, h]] = areasOf(spotIn(stage, picture), stage);
  const [left, top, width, height] = heatPlace(stage, picture.box);
  const edge = (low: number, margin: number) => Math.floor((low + margin) * density) - 1;
  const end = (high: number, margin: number) => Math.ceil((high + margin) * density) + 1;
  const [first, above] = [edge(Math.min(x, left), stage.margin[0]), edge(Math.min(y, top), stage.margin[1])];
  const right = end(Math.max(x + w, left + width), stage.margin[0]);
  const bottom = end(Math.max(y + h, top + height), stage.margin[1]);
  return [first, above, right - first, bottom - above];
}

/** Has nothing drawn outside some parts. */
function keepTo(context: CanvasRenderingContext2D, areas: readonly Area[]): void {
  context.beginPath();
  for (const area of areas) context.rect(...area);
  context.clip();
}

/** Shows some parts of layers of equal size, the last one on top. */
function copy(
  context: CanvasRenderingContext2D | undefined,
  layers: readonly HTMLCanvasElement[],
  areas: readonly Area[],
): void {
  if (!context) return;
  context.save();
  keepTo(context, areas);
  context.clearRect(0, 0, context.canvas.width, context.canvas.height);
  for (const layer of layers) context.drawImage(layer, 0, 0);
  context.restore();
}

/** A painter for the MultiCanvas, or null if there is none that can be painted into. */
export function layerPainter(stack: unknown, index: number, lost: () => void): LayerPainter | null {
  const model = stack as Partial<StackModel> | null | undefined;
  const layer = model?.get?.("_canvases")?.[index];
  if (!model?.ctx || !layer?.ctx || !layer.canvas) return null;
  return new LayerPainter(model as StackModel, layer, lost);
}

/** Backing pixels of a signal's canvas. */
const SIGNAL: Cell = [2048, 100];

/** The stage without a margin, in backing pixels. */
function backing({ image_size, stretch }: Stage): Stage {
  const margin: Stage["margin"] = [0, 0, 0, 0];
  if (stretch === 1) return { image_size, margin, scale: 1, stretch };
  const scale = SIGNAL[0] / image_size[0];
  return { image_size, margin, scale, stretch: SIGNAL[1] / image_size[1] / scale };
}

/** Opacity of the black that dims the image, as `SPOTLIGHT` in rfwidget/widget/scene.py. */
const SPOTLIGHT = 0.45;

/** All of an image, with the field of the cell. */
function spotIn({ image_size: [width, height] }: Stage, { rect }: Picture): Spot {
  return [[0, 0, width, height], rect];
}

/** A part of the picture, and what of the field lies in it, on a stage. */
function areasOf([part, field]: Spot, stage: Stage): [part: Area, lit: Area] {
  const [across, down] = scalesOf(stage);
  const [from = 0, above = 0, to = 0, below = 0] = part;
  const [left = 0, top = 0, right = 0, bottom = 0] = field;
  const area = (x: number, y: number, end: number, under: number): Area => [
    x * across,
    y * down,
    (end - x) * across,
    (under - y) * down,
  ];
  const [x, y] = [clamp(left, from, to), clamp(top, above, below)];
  return [area(from, above, to, below), area(x, y, clamp(right, x, to), clamp(bottom, y, below))];
}

/** Dims a part of the picture on a stage but for the field in it. */
function dim(context: CanvasRenderingContext2D, spot: Spot, stage: Stage): void {
  context.globalAlpha = 1;
  context.fillStyle = `rgb(0 0 0 / ${SPOTLIGHT})`;
  context.beginPath();
  for (const area of areasOf(spot, stage)) context.rect(...area);
  context.fill("evenodd");
}

/** Puts a picture's pixels on a canvas of its size; false if it has none. */
function fill(sheet: HTMLCanvasElement, picture: Picture, palette: Palette | null): boolean {
  if (palette === null) return false;
  const [width, height] = sizeOf(picture);
  const every = height === 1 ? Math.ceil(width / WIDEST) : 1;
  const levels = thinned(picture.levels, every);
  return fillPixels(sheet, [Math.ceil(width / every), height], coloured({ ...picture, levels }, palette));
}

/** Columns of a canvas: a field of a signal may be longer than any canvas is wide. */
const WIDEST = 8192;

/** Every so many bytes of a row. */
export function thinned(levels: Picture["levels"], every: number): Picture["levels"] {
  return every === 1 ? levels : levels.filter((_, k) => k % every === 0);
}

/** Gives a canvas a size and these pixels; false if there are none. */
export function fillPixels(
  canvas: HTMLCanvasElement,
  [width, height]: Cell,
  rgba: Uint8ClampedArray<ArrayBuffer>,
): boolean {
  if (width < 1 || height < 1 || rgba.length !== width * height * 4) return false;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  canvas.getContext("2d")?.putImageData(new ImageData(rgba, width, height), 0, 0);
  return true;
}
