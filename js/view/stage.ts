/** Where the image lies in the stage: pure functions, all lengths in CSS pixels. */

import type { SyncedState } from "../protocol.js";

/** The image, magnified, with a margin around it for what overhangs. */
export type Stage = Pick<SyncedState, "image_size" | "margin" | "scale">;

/** Width and height. */
export interface Extent {
  width: number;
  height: number;
}

/** The stage of whoever knows the state. */
export function stageOf(source: { get<K extends keyof Stage>(name: K): Stage[K] }): Stage {
  return { image_size: source.get("image_size"), margin: source.get("margin"), scale: source.get("scale") };
}

/** Size of the image on the stage. */
export function imageExtent({ image_size: [width, height], scale }: Stage): Extent {
  return { width: width * scale, height: height * scale };
}

/** Size of the stage: the image with its margin. */
export function stageExtent(stage: Stage): Extent {
  const [left, top, right, bottom] = stage.margin;
  const { width, height } = imageExtent(stage);
  return { width: left + width + right, height: top + height + bottom };
}
