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
  syncViews(): void;
  on(events: string, callback: () => void): void;
  off(events: string, callback: () => void): void;
}

/** The part of ipycanvas' MultiCanvasModel that a painter uses. */
export interface StackModel {
  get(name: "_canvases"): LayerModel[];
  views?: Record<string, Promise<unknown>>;
}

const RESIZED = "change:width change:height";

/** Paints into one layer of a MultiCanvas, for all of its views at once. */
export class LayerPainter implements Painter {
  readonly #stack: StackModel;
  readonly #layer: LayerModel;
  readonly #lost: () => void;
  readonly #sheet = document.createElement("canvas");

  /** `lost` is called when the layer has lost its content. */
  constructor(stack: StackModel, layer: LayerModel, lost: () => void) {
    this.#stack = stack;
    this.#layer = layer;
    this.#lost = lost;
    layer.on(RESIZED, lost);
  }

  async paint(picture: Picture | null, { opacity, spotlight, palette }: Look, stage: Stage): Promise<void> {
    const { canvas, ctx } = this.#layer;
    const { margin } = stage;
    // The backing pixels are Python's choice: CSS pixels times a device scale.
    const density = canvas.width / stageExtent(stage).width;
    ctx.save();
    ctx.setTransform(1, 0, 0, 1, 0, 0);
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
    this.#layer.syncViews();
    // The views of the stack copy it in callbacks of these same promises, queued before ours.
    await Promise.allSettled(Object.values(this.#stack.views ?? {}));
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

/** A painter for the MultiCanvas, or null if there is none that can be painted into. */
export function layerPainter(stack: unknown, index: number, lost: () => void): LayerPainter | null {
  const model = stack as Partial<StackModel> | null | undefined;
  const layer = model?.get?.("_canvases")?.[index];
  if (!layer?.ctx || !layer.canvas || typeof layer.syncViews !== "function") return null;
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

/** Dims a part of the picture on a stage but for a rectangle of it. */
function dim(context: CanvasRenderingContext2D, [part, field]: Spot, stage: Stage): void {
  const [across, down] = scalesOf(stage);
  const [from = 0, above = 0, to = 0, below = 0] = part;
  const [left = 0, top = 0, right = 0, bottom = 0] = field;
  const [x, y] = [clamp(left, from, to), clamp(top, above, below)];
  context.globalAlpha = 1;
  context.fillStyle = `rgb(0 0 0 / ${SPOTLIGHT})`;
  context.beginPath();
  context.rect(from * across, above * down, (to - from) * across, (below - above) * down);
  context.rect(x * across, y * down, (clamp(right, x, to) - x) * across, (clamp(bottom, y, below) - y) * down);
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
