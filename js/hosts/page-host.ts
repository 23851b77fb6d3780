/**
 * The overlay over pictures that are embedded in a page: no kernel, no network.
 *
 * A page holds the image and one or more layers; a layer holds the marks on the image, the geometry for hovering, and the
 * gradient maps of some cells. Asking for a cell shows the embedded one nearest to it; the pointer over one shows it.
 */

import { cellsIn, fieldOf, sameCell } from "../geometry.js";
import type {
  Cell,
  Controls,
  Edges,
  FeatureMap,
  LevelMap,
  Palette,
  Picture,
  Scene,
  SceneMark,
  SyncedState,
} from "../protocol.js";
import { type Decode, decodePicture } from "./decode.js";
import { type Activity, type Changed, type Host, Watchers } from "./host.js";
import { type Live, ResidentMaps, sizeOf, underPointer } from "./resident.js";

/** One layer, as rfwidget/widget/page.py writes it into the page. */
export interface PageLayer
  extends Pick<
    SyncedState,
    | "image_size"
    | "scale"
    | "stretch"
    | "axes"
    | "volume"
    | "margin"
    | "grid"
    | "field"
    | "selected"
    | "label"
    | "layer"
    | "contours"
  > {
  /** The stage's dots, rectangles and labels. */
  marks: SceneMark[];
  /** How many columns and rows apart the drawn centres are. */
  dots_every: number;
  /** Address of a picture of the layer's output, one pixel per cell; "" if there are too many. */
  features: string;
  /** Its lowest and highest value. */
  range: [low: number, high: number];
  /** The gradient maps, many to a picture. */
  sheets: Sheet[];
}

/** Gradient maps in one picture: grey values are their bytes, one map below the other. */
export interface Sheet {
  /** Address of the picture. */
  picture: string;
  size: Cell;
  maps: (Omit<LevelMap, "levels"> & Pick<Picture, "mass">)[];
}

/** All colours that maps can have, as rfwidget/widget/page.py writes them; bytes in base64. */
export interface Palettes {
  /** The 256 colours of each colour map, RGB. */
  tables: Record<string, string>;
  /** Names of the ones that suit magnitudes, and signs. */
  automatic: [string, string];
  /** Of each scale, for magnitudes and for signs. */
  scales: Record<string, [Ramp, Ramp]>;
}

/** For each byte of a map which of the colours it has, and how opaque it is; the rest as in `Palette`. */
interface Ramp extends Omit<Palette, "rgba"> {
  index: string;
  opacity: string;
}

/** A page, as rfwidget/widget/page.py writes it. */
export interface Page
  extends Pick<
    SyncedState,
    "heat_opacity" | "layers" | "compare" | "query" | "asking" | "height" | "controls" | "input" | "words"
  > {
  palettes: Palettes;
  /** Address of the photograph; "" if there is none but the model's own pixels. */
  photo: string;
  /** Address of a picture of the image, one pixel per pixel. */
  pixels: string;
  every?: number;
  /** What can be shown; the first is shown first. */
  shown: [PageLayer, ...PageLayer[]];
}

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
  scene: null,
  notice: "",
  thumbnails: null,
  palette: null,
  live_cells: 0,
};

export class PageHost implements Host {
  readonly painted = undefined;
  readonly copies = 0;
  readonly offered: ReadonlySet<string>;
  readonly #page: Page;
  readonly #decode: Decode;
  readonly #watchers = new Watchers();
  #palette: Palette | null = null;
  readonly #maps = new ResidentMaps();
  #layer: PageLayer;
  /** The cells that have a gradient map. */
  #cells: Cell[] = [];
  #hovered: Cell | null = null;
  #features: FeatureMap | null = null;
  #query: Edges | null;
  /** What the controls have changed. */
  #settings: Partial<Pick<SyncedState, "asking" | "show_heat" | "heat_opacity">> = {};
  #controls: Controls | null;
  #selected: Cell | null = null;

  constructor(page: Page, decode: Decode = decodePicture) {
    this.#page = page;
    this.#decode = decode;
    this.offered = new Set(page.shown.map(({ layer }) => layer));
    this.#layer = page.shown[0];
    this.#query = page.query;
    this.#controls = page.controls;
    this.#colour();
    this.#show(this.#layer);
  }

  get<K extends keyof SyncedState>(name: K): SyncedState[K] {
    const { heat_opacity, layers, compare, asking, height, input, words, shown } = this.#page;
    const told = { heat_opacity, layers, compare, asking, height, input, words, ...this.#settings };
    const controls = this.#controls && { ...this.#controls, dots_every: this.#layer.dots_every };
    const choices: SyncedState["choices"] = shown.map(({ layer, grid }) => [layer, ...(grid as readonly number[])]);
    const state: SyncedState = { ...REST, ...this.#layer, ...told, controls, choices, query: this.#query };
    const mine = { palette: this.#palette, live_cells: this.live.wanted };
    return { ...state, ...mine, status: this.#status, feature_map: this.#features }[name];
  }

  get scene(): Scene {
    return this.#page;
  }

  get layer(): PageLayer {
    return this.#layer;
  }

  get query(): Edges | null {
    return this.#query;
  }

  ask(box: Edges | null): void {
    this.#query = box;
    this.#watchers.notify();
  }

  /** What needs no kernel: the switches, the opacity and the colours. */
  set(name: string, value: boolean | number | string | null): void {
    if (name === "heat_opacity" && typeof value === "number") this.#settings.heat_opacity = value;
    if (typeof value === "boolean") {
      if (name === "show_heat") this.#settings.show_heat = value;
      else if (name === "asking") this.#settings.asking = value;
      else if (this.#controls && name in this.#controls) this.#controls = { ...this.#controls, [name]: value };
      if (name === "asking" && !value) this.#query = null; // switched off, what was asked goes too
    }
    if (this.#controls && typeof value === "string" && COLOURS.has(name)) {
      this.#controls = { ...this.#controls, [name]: value };
    }
    if (COLOURS.has(name)) this.#colour();
    this.#watchers.notify();
  }

  /** The colours of the maps, and of their bar, follow the controls. */
  #colour(): void {
    const { tables, automatic, scales } = this.#page.palettes;
    const { colormap = "", signed = false, heat_scale = "sqrt" } = this.#controls ?? {};
    const ramp = scales[heat_scale]?.[signed ? 1 : 0];
    const table = fromBase64(tables[colormap] ?? tables[automatic[signed ? 1 : 0]] ?? "");
    if (!ramp || !table.length) return;
    const [index, opacity] = [fromBase64(ramp.index), fromBase64(ramp.opacity)];
    const rgba = new Uint8Array(4 * index.length);
    index.forEach((at, byte) => {
      rgba.set([...table.subarray(3 * at, 3 * at + 3), opacity[byte] ?? 0], 4 * byte);
    });
    this.#palette = { ranked: ramp.ranked, ticks: ramp.ticks, rgba: new DataView(rgba.buffer) };
    const stops = Array.from({ length: 16 }, (_, k) => `rgb(${table.subarray(51 * k, 51 * k + 3).join(" ")})`);
    if (this.#controls) this.#controls = { ...this.#controls, colours: stops };
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
    return this.#maps.get(this.#selected);
  }

  get shown(): Picture | null {
    if (!(this.#settings.show_heat ?? true)) return null;
    return (this.live.wanted ? underPointer(this.#maps, this.#hovered, this.#selected) : null) ?? this.picture;
  }

  get live(): Live {
    const wanted = this.#controls?.live === false ? 0 : this.#cells.length;
    return { held: this.#maps.size, wanted, cells: cellsIn(this.#layer.grid), coarse: this.#maps.coarse };
  }

  hover(cell: Cell | null): void {
    this.#hovered = cell;
  }

  get activity(): Activity {
    return { state: "ready", text: this.#status, error: null };
  }

  #show(layer: PageLayer): void {
    this.#layer = layer;
    this.#cells = layer.sheets.flatMap(({ maps }) => maps.map(({ cell }) => cell));
    this.#maps.clear();
    this.#selected = null;
    this.#hovered = null;
    this.#features = null;
    this.#watchers.notify();
    if (layer.features) void this.#loadFeatures(layer);
    if (layer.selected) this.request(layer.selected);
    void this.#loadMaps(layer);
  }

  request(cell: Cell): void {
    this.#selected = nearestOf(this.#cells, cell, this.#selected) ?? cell;
    this.#hovered = null;
    this.#watchers.notify();
  }

  watch(changed: Changed, signal: AbortSignal): void {
    this.#watchers.add(changed, signal);
  }

  /** Decodes a layer's maps, the sheet with the selected cell first. */
  async #loadMaps(layer: PageLayer): Promise<void> {
    const here = ({ maps }: Sheet) => Number(maps.some(({ cell }) => sameCell(cell, this.#selected)));
    for (const sheet of [...layer.sheets].sort((a, b) => here(b) - here(a))) {
      const rgba = await this.#decode(sheet.picture, sheet.size[0], sheet.size[1]);
      if (layer !== this.#layer) return;
      let top = 0;
      for (const map of sheet.maps) {
        const [width, height] = sizeOf(map);
        const levels = new Uint8ClampedArray(width * height);
        for (let k = 0; k < levels.length; k++) {
          levels[k] = rgba[4 * ((top + Math.floor(k / width)) * sheet.size[0] + (k % width))] ?? 0;
        }
        top += height;
        const rect = layer.field ? fieldOf(layer.field, map.cell) : map.box;
        this.#maps.add({ ...map, serial: 0, revision: 0, rect, milliseconds: Number.NaN, levels });
      }
      this.#watchers.notify();
    }
  }

  async #loadFeatures(layer: PageLayer): Promise<void> {
    const [width, height, planes = 1] = layer.grid;
    const rgba = await this.#decode(layer.features, width, height * planes);
    if (layer !== this.#layer) return;
    const bytes = new DataView(rgba.buffer, rgba.byteOffset, rgba.byteLength);
    this.#features = { size: [width, height], range: layer.range, rgba: bytes };
    this.#watchers.notify();
  }

  get #status(): string {
    const { cells } = this.live;
    return this.#cells.length < cells ? `gradient maps of ${this.#cells.length} of ${cells} cells` : "";
  }
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** Controls of how maps are coloured. */
const COLOURS = new Set(["signed", "heat_scale", "colormap"]);

/**
 * The cell of some that is nearest to a wanted one; null if there are none.
 *
 * Coming `from` one of them, the way wanted counts: otherwise a key that moves by one cell would never leave a cell
 * whose neighbours are missing.
 */
export function nearestOf(cells: readonly Cell[], wanted: Cell, from: Cell | null): Cell | null {
  const distance = (cell: Cell) => cell.reduce<number>((sum, at = 0, k) => sum + (at - (wanted[k] ?? 0)) ** 2, 0);
  const best = (some: readonly Cell[]) =>
    some.reduce<Cell | null>((best, cell) => (best && distance(best) <= distance(cell) ? best : cell), null);
  const nearest = best(cells);
  if (!from || !sameCell(nearest, from)) return nearest;
  const step = wanted.map((at = 0, k) => at - (from[k] ?? 0));
  const ahead = (cell: Cell) => step.reduce((sum, by, k) => sum + by * ((cell[k] ?? 0) - (from[k] ?? 0)), 0) > 0;
  return best(cells.filter(ahead)) ?? nearest;
}
