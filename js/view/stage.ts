/** Where the image lies in the stage: pure functions, all lengths in CSS pixels. */

import type { Box, SyncedState } from "../protocol.js";

/** The image, magnified, with a margin around it for what overhangs. */
export type Stage = Pick<SyncedState, "image_size" | "margin" | "scale" | "stretch">;

/** Width and height. */
export interface Extent {
  width: number;
  height: number;
}

/** The stage of whoever knows the state. */
export function stageOf(source: { get<K extends keyof Stage>(name: K): Stage[K] }): Stage {
  const [image_size, margin] = [source.get("image_size"), source.get("margin")];
  return { image_size, margin, scale: source.get("scale"), stretch: source.get("stretch") };
}

/** The same stage magnified. */
export function magnified({ image_size, margin, scale, stretch }: Stage, factor: number): Stage {
  if (factor === 1) return { image_size, margin, scale, stretch };
  const [left, top, right, bottom] = margin;
  const around: Stage["margin"] = [left * factor, top * factor, right * factor, bottom * factor];
  return { image_size, margin: around, scale: scale * factor, stretch };
}

/** Size of the image on the stage. */
export function imageExtent(stage: Stage): Extent {
  const [width, height] = stage.image_size;
  const [across, down] = scalesOf(stage);
  return { width: width * across, height: height * down };
}

/** CSS pixels per image pixel along x and along y: the sample of a signal is far higher than it is wide. */
export function scalesOf({ scale, stretch }: Stage): [across: number, down: number] {
  return [scale, scale * stretch];
}

/** Part of a signal's height that its heat map takes, at the bottom; as `STRIP` in rfwidget/widget/scene.py. */
const STRIP = 0.16;

/** Where a heat map goes, in CSS pixels of the image: over its box, or of a signal in the strip below the lines. */
export function heatPlace(stage: Stage, [left, top, right, bottom]: Box): [x: number, y: number, w: number, h: number] {
  const [across, down] = scalesOf(stage);
  const width = (right - left) * across;
  if (stage.stretch === 1) return [left * across, top * down, width, (bottom - top) * down];
  const { height } = imageExtent(stage);
  return [left * across, (1 - STRIP) * height, width, STRIP * height];
}

/** Size of the stage: the image with its margin. */
export function stageExtent(stage: Stage): Extent {
  const [left, top, right, bottom] = stage.margin;
  const { width, height } = imageExtent(stage);
  return { width: left + width + right, height: top + height + bottom };
}

/** Below this width the column stands under the image. */
const STACKED = 700;
/** Least width of the column. */
const COLUMN = 330;
/** Height around the image, above and below together. */
const ROOM = 24;

/** How a widget is laid out: side by side or stacked, and the room for the picture. */
export interface Layout {
  stacked: boolean;
  /** Of the place that the picture stands in. */
  picture: Extent;
  /** By how much the stage is magnified to stand there. */
  factor: number;
}

/**
 * Lays out a stage in a widget of some width.
 *
 * @param height how high the image is at most, in CSS pixels; infinite: as high as `room` allows
 * @param room height that is left beside bar and strip, where that is limited
 */
export function layOut(stage: Stage, width: number, height: number, room = Infinity): Layout {
  const extent = stageExtent(stage);
  const high = Math.min(height + ROOM, room);
  if (width <= 0) return { stacked: false, picture: { width: extent.width, height: high }, factor: 1 };
  const stacked = width < STACKED;
  const across = stacked ? width : width - COLUMN;
  const most = Number.isFinite(height) ? 1 : Infinity;
  const factor = Math.max(0.05, Math.min(most, across / extent.width, high / extent.height));
  const wide = stacked
    ? width
    : Math.min(across, Math.max(Number.isFinite(height) ? high : across, extent.width * factor));
  // Stacked, the picture takes no more height than it needs.
  return { stacked, picture: { width: wide, height: stacked ? extent.height * factor : high }, factor };
}
