/**
 * What depends on the kind of the model's input: how places of the picture belong to cells, and what is drawn over it.
 *
 * Signals and images are one plane (flat.ts), a volume is three sections (sections.ts). Each kind is bundled by itself.
 */

import type { Cells, Point } from "../geometry.js";
import type { Host } from "../hosts/host.js";
import type { Cell, Edges, Picture } from "../protocol.js";
import type { Compared } from "./marks.js";
import type { Spot } from "./painter.js";
import type { Stage } from "./stage.js";

/** What was asked about, and the cells that see it. */
export interface Asked {
  box: Edges;
  cells: Cells;
}

/** A place of the picture, in its pixels. */
export type Place = readonly [x: number, y: number];

export interface Kind {
  /** The cell at a place of the picture; null: there is no grid. */
  cellAt(host: Host, at: Place): Cell | null;
  /** Where the centre of a cell's field is in the picture. */
  placeOf(host: Host, centre: Point): Place;
  /** The whole pixels, or voxels, between two places of the picture. */
  between(host: Host, from: Place, to: Place): Edges;
  /** The whole pixel, or voxel, at a point. */
  pixelAt(host: Host, at: Point): Edges;
  /** The heat map to show, and the parts of the picture that are dimmed around its field; null: all of it. */
  heat(host: Host): { shown: Picture | null; spots: readonly Spot[] | null };
  /** What is drawn over the picture, new for each view. */
  drawings(host: Host): Drawings;
  /** Files that it can show, dropped, pasted or chosen; null: there are none. */
  files: {
    take: (element: HTMLElement, take: (file: File) => void, signal: AbortSignal) => void;
    read: (file: File) => Promise<ArrayBuffer>;
  } | null;
}

export interface Drawings {
  /** What lies under everything. */
  readonly photo: { readonly element: HTMLElement; draw(host: Host, stage: Stage): void };
  /** Back to front. */
  readonly elements: readonly Element[];
  /** Draws the marks of the cells; `told` is the selected one's field if the kernel has told it. */
  draw(stage: Stage, hovered: Cell | null, told: Edges | null, compared: Compared | null): void;
  drawFound(stage: Stage, asked: Asked | null): void;
  /** What the scene's marks need on top. */
  drawScene?(scene: Element): void;
  /** More to listen to on the element that covers the picture. */
  listen?(root: HTMLElement, signal: AbortSignal): void;
  /** What stands below the feature map. */
  readonly below?: HTMLElement;
}
