/**
 * The overlay over pictures that are embedded in a page: no kernel, no network.
 *
 * A page holds the image and one or more layers; a layer holds the marks on the image, the geometry for hovering, and the
 * gradient maps of some cells. Asking for a cell shows the embedded one nearest to it.
 */

import { sameCell } from "../geometry.js";
import {
  type Box,
  type Cell,
  type Controls,
  type FeatureMap,
  type Picture,
  rectFrom,
  type SceneMark,
  type SyncedState,
} from "../protocol.js";
import { type Activity, type Host, type Scene, Watchers } from "./host.js";

/** One layer, as rfwidget/widget/page.py writes it into the page. */
export interface PageLayer
  extends Pick<
    SyncedState,
    "image_size" | "scale" | "margin" | "grid" | "field" | "selected" | "label" | "layer" | "contours"
  > {
  /** The stage's dots, rectangles and labels. */
  marks: SceneMark[];
  /** How many columns and rows apart the drawn centres are. */
  dots_every: number;
  /** Address of a picture of the layer's output, one pixel per cell; "" if there are too many. */
  features: string;
  /** Its lowest and highest value. */
  range: [low: number, high: number];
  /** The gradient maps, each with the address of its picture. */
  maps: (Pick<Picture, "cell" | "box" | "ticks" | "mass"> & { rect: (number | null)[]; picture: string })[];
}

/** A page, as rfwidget/widget/page.py writes it. */
export interface Page
  extends Pick<
    SyncedState,
    "heat_opacity" | "layers" | "compare" | "query" | "asking" | "height" | "controls" | "input"
  > {
  /** Address of the photograph; "" if there is none but the model's own pixels. */
  photo: string;
  /** Address of a picture of the image, one pixel per pixel. */
  pixels: string;
  /** What can be shown; the first is shown first. */
  shown: [PageLayer, ...PageLayer[]];
}

/** The pixels of a picture, straight alpha. */
export type Decode = (address: string, width: number, height: number) => Promise<Picture["rgba"]>;

/** What a page without a kernel has to say about the other traits. */
const REST: Omit<SyncedState, keyof PageLayer | keyof Page> = {
  canvas: "",
  heat_layer: 0,
  revision: 0,
  state: "ready",
  status: "",
  progress: -1,
  error: null,
  feature_map: null,
  show_heat: true,
  background: "",
  choices: [],
  notice: "",
  thumbnails: null,
};

export class PageHost implements Host {
  readonly painted = undefined;
  readonly copies = 0;
  readonly offered: ReadonlySet<string>;
  readonly #page: Page;
  readonly #decode: Decode;
  readonly #watchers = new Watchers();
  #layer: PageLayer;
  #features: FeatureMap | null = null;
  #query: Box | null;
  /** What the controls have changed. */
  #settings: Partial<Pick<SyncedState, "asking" | "show_heat" | "heat_opacity">> = {};
  #controls: Controls | null;
  #selected: Cell | null = null;
  #picture: Picture | null = null;
  #serial = 0;

  constructor(page: Page, decode: Decode = decodePicture) {
    this.#page = page;
    this.#decode = decode;
    this.offered = new Set(page.shown.map(({ layer }) => layer));
    this.#layer = page.shown[0];
    this.#query = page.query;
    this.#controls = page.controls;
    this.#show(this.#layer);
  }

  get<K extends keyof SyncedState>(name: K): SyncedState[K] {
    const { heat_opacity, layers, compare, asking, height, input, shown } = this.#page;
    const told = { heat_opacity, layers, compare, asking, height, input, ...this.#settings };
    const controls = this.#controls && { ...this.#controls, dots_every: this.#layer.dots_every };
    const choices: SyncedState["choices"] = shown.map(({ layer, grid }) => [layer, grid[0], grid[1]]);
    const state: SyncedState = { ...REST, ...this.#layer, ...told, controls, choices, query: this.#query };
    return { ...state, status: this.#status, feature_map: this.#features }[name];
  }

  get scene(): Scene {
    return { photo: this.#page.photo, pixels: this.#page.pixels };
  }

  get layer(): PageLayer {
    return this.#layer;
  }

  get query(): Box | null {
    return this.#query;
  }

  ask(box: Box | null): void {
    this.#query = box;
    this.#watchers.notify();
  }

  /** What needs no kernel: the switches, and the opacity. */
  set(name: string, value: boolean | number | string | null): void {
    if (name === "heat_opacity" && typeof value === "number") this.#settings.heat_opacity = value;
    if (typeof value === "boolean") {
      if (name === "show_heat") this.#settings.show_heat = value;
      else if (name === "asking") this.#settings.asking = value;
      else if (this.#controls && name in this.#controls) this.#controls = { ...this.#controls, [name]: value };
      if (name === "asking" && !value) this.#query = null; // switched off, what was asked goes too
    }
    this.#watchers.notify();
  }

  upload(): boolean {
    return false;
  }

  act(): void {}

  magnified(): void {}

  /** Shows another layer, with its own selected cell. */
  choose(name: string): void {
    const layer = this.#page.shown.find(({ layer }) => layer === name);
    if (layer && layer !== this.#layer) this.#show(layer);
  }

  get selected(): Cell | null {
    return this.#selected;
  }

  get picture(): Picture | null {
    return this.#picture;
  }

  get activity(): Activity {
    return { state: "ready", text: this.#status, error: null };
  }

  #show(layer: PageLayer): void {
    this.#layer = layer;
    this.#serial++; // what is being decoded belongs to the old layer
    this.#selected = null;
    this.#picture = null;
    this.#features = null;
    this.#watchers.notify();
    if (layer.features) void this.#loadFeatures(layer);
    if (layer.selected) this.request(layer.selected);
  }

  request(cell: Cell): void {
    const cells = this.#layer.maps.map((map) => map.cell);
    this.#selected = nearestOf(cells, cell, this.#selected) ?? cell;
    void this.#load(++this.#serial);
    this.#watchers.notify();
  }

  watch(changed: () => void, signal: AbortSignal): void {
    this.#watchers.add(changed, signal);
  }

  /** Decodes the selected cell's map; a later request overtakes it. */
  async #load(serial: number): Promise<void> {
    const map = this.#layer.maps.find(({ cell }) => sameCell(cell, this.#selected));
    if (!map) return;
    const { cell, box, ticks, mass } = map;
    const rgba = await this.#decode(map.picture, box[2] - box[0], box[3] - box[1]);
    if (serial !== this.#serial) return;
    const place = { serial, revision: 0, cell, box, rect: rectFrom(map.rect) };
    this.#picture = { ...place, milliseconds: Number.NaN, ticks, mass, rgba };
    this.#watchers.notify();
  }

  async #loadFeatures(layer: PageLayer): Promise<void> {
    const [width, height] = layer.grid;
    const rgba = await this.#decode(layer.features, width, height);
    if (layer !== this.#layer) return;
    const bytes = new DataView(rgba.buffer, rgba.byteOffset, rgba.byteLength);
    this.#features = { size: [width, height], range: layer.range, rgba: bytes };
    this.#watchers.notify();
  }

  get #status(): string {
    const { maps, grid } = this.#layer;
    const all = grid[0] * grid[1];
    return maps.length < all ? `gradient maps of ${maps.length} of ${all} cells` : "";
  }
}

/**
 * The cell of some that is nearest to a wanted one; null if there are none.
 *
 * Coming `from` one of them, the way wanted counts: otherwise a key that moves by one cell would never leave a cell
 * whose neighbours are missing.
 */
export function nearestOf(cells: readonly Cell[], wanted: Cell, from: Cell | null): Cell | null {
  const distance = ([x, y]: Cell) => (x - wanted[0]) ** 2 + (y - wanted[1]) ** 2;
  const best = (some: readonly Cell[]) =>
    some.reduce<Cell | null>((best, cell) => (best && distance(best) <= distance(cell) ? best : cell), null);
  const nearest = best(cells);
  if (!from || !sameCell(nearest, from)) return nearest;
  const ahead = ([x, y]: Cell) => (x - from[0]) * (wanted[0] - from[0]) + (y - from[1]) * (wanted[1] - from[1]) > 0;
  return best(cells.filter(ahead)) ?? nearest;
}

async function decodePicture(address: string, width: number, height: number): Promise<Picture["rgba"]> {
  const image = new Image();
  image.src = address;
  await image.decode();
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context?.drawImage(image, 0, 0);
  return context?.getImageData(0, 0, width, height).data ?? new Uint8ClampedArray();
}
