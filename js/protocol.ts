/**
 * What kernel and browser tell each other: the synced state and the messages.
 *
 * Both mirror rfwidget/widget/overlay.py, name by name and in the same order (tests/widget/test_overlay.py compares
 * them). Messages of the kernel are checked here and nowhere else. Nothing here draws or decides.
 */

/** Column, row and, of a volume, plane of a cell of the grid, all from 0. */
export type Cell = readonly [x: number, y: number, z?: number];

/** A rectangle or a box: all first edges before all last ones, x before y before z. */
export type Edges = readonly number[];

/** Left, top, right and bottom edge in image pixels; infinite along an unbounded axis. */
export type Rect = readonly [left: number, top: number, right: number, bottom: number];

/** Whole pixels of the image, given by their edges. */
export type Box = readonly [left: number, top: number, right: number, bottom: number];

/** Receptive fields along one axis: the edges of the first `cells` cells, which repeat every `pixels` pixels. */
export interface AxisField {
  cells: number;
  pixels: number;
  /** null: unbounded, every cell sees the whole axis; a missing edge is infinite. */
  edges: [low: number | null, high: number | null][] | null;
  /** Cells that see something else, because borders wrap or differ; a missing edge is infinite. */
  others?: [cell: number, low: number | null, high: number | null][];
}

/** The receptive fields of all cells, axis by axis. */
export interface Field {
  x: AxisField;
  y: AxisField;
  z?: AxisField;
}

/** The layer's output as a picture, one pixel per cell; of a volume as many as there are planes, one after the other. */
export interface FeatureMap {
  size: [width: number, height: number];
  /** The values in the darkest and in the brightest colour. */
  range: [low: number, high: number];
  rgba: DataView;
}

/** The strongest channels of the layer's output, as pictures below each other. */
export interface Thumbnails {
  /** Of one picture. */
  size: [width: number, height: number];
  channels: number[];
  rgba: DataView;
}

/** A mark on a colour bar: the place, 0 .. 1 from its beginning, and the value there in words. */
export type Tick = readonly [place: number, words: string];

/** A mark on the bar of the heat map: the place, and what part of a map's full value is there, or words. */
export type BarTick = readonly [place: number, part: number | string];

/** How the bytes of heat maps are coloured. */
export interface Palette {
  /** The colour of each of the 256 bytes, straight alpha. */
  rgba: DataView;
  /** Whether a byte is first to be replaced by its share of the map's mass. */
  ranked: boolean;
  ticks: BarTick[];
}

/** The words that depend on what the model takes, as rfwidget/widget/words.py has them. */
export interface Words {
  /** What the model takes, with a capital letter; the smallest part of it, and the unit of lengths. */
  thing: string;
  element: string;
  unit: string;
  /** What stands before the edges of a part, and what all that a field covers is called. */
  part: string;
  whole: string;
  /** The help: each part has a title, and what does what. */
  help: [title: string, rows: [what: string, does: string][]][];
  /** The keys in sentences. */
  keys: string;
  /** For each button and switch what stands on it, and what it does. */
  labels: Record<string, [words: string, title: string]>;
}

/** What the controls show: the value of each, and what there is to choose from. */
export interface Controls {
  image: string;
  images: string[];
  channel: number | null;
  channels: number;
  colormap: string;
  colormaps: string[];
  /** Colours of the bar of the heat map, and of the feature map, from its beginning to its end. */
  colours: string[];
  map_colours: string[];
  signed: boolean;
  heat_scale: string;
  /** What the heat map shows, and what it can show of this layer: `HEAT_MAPS` in rfwidget/widget/view.py. */
  heat_map: string;
  heat_maps: string[];
  spotlight: boolean;
  /** Whether the heat map follows the pointer. */
  live: boolean;
  show_dots: boolean;
  /** How many columns and rows apart the drawn centres are. */
  dots_every: number;
  show_first: boolean;
  show_central: boolean;
  show_last: boolean;
  show_naive: boolean;
  show_erf: boolean;
  show_pixels: boolean;
  /** Bands of the image that are shown as red, green and blue, and how many there are to choose from. */
  bands: string;
  band_count: number;
  /** Whether there is a kernel that saves, copies and opens. */
  actions: boolean;
}

/** A layer of the strip. */
export interface LayerRow {
  name: string;
  /** Cells. */
  grid: Cell;
  /** Pixels along x, and along y if there is one; null along an unbounded axis. */
  size: readonly (number | null)[];
  /** Whether all cells see the same extent. */
  uniform: boolean;
  /** Whether all that the layer reads already sees the whole image. */
  unproductive?: boolean;
  /** null: the layer could not be measured. */
  field: Field | null;
}

/** Where the outlines of a cell begin along an axis of the image: at `start` for cell 0, `stride` further for the next. */
export interface Frame {
  start: number;
  stride: number;
}

/** Outlines of the smallest regions that hold shares of the effective receptive field. */
export interface Contours {
  x: Frame;
  y: Frame;
  /** Closed lines, each x, y, x, y, ... in pixels from where the frames begin. */
  levels: { share: number; loops: number[][] }[];
}

/** What lies under all marks. */
export interface Scene {
  /** Address of the photograph; "" if there is none but the model's own pixels. */
  photo: string;
  /** Address of the image as the model gets it; of a volume all voxels one after the other, plane after plane. */
  pixels: string;
  /** How many voxels along each axis one of those stands for. */
  every?: number;
}

/** A volume, and its sections as one picture; as rfwidget/widget/sections.py has them. */
export interface Volume {
  /** Voxels along x, y and z. */
  size: readonly [width: number, height: number, depth: number];
  /** Each with the axes that go to the right, down and through it, and where it begins in the picture. */
  sections: readonly Section[];
}

/** Axes are numbers: 0 for x, 1 for y, 2 for z. */
export type Section = readonly [across: number, down: number, through: number, left: number, top: number];

/** A drawn thing of a scene, in CSS pixels of the stage; `part` is what switches it on and off. */
export type SceneMark = { part: string } & (
  | { kind: "dots"; at: number[]; radius: number; colour: string }
  | {
      kind: "line";
      paths: number[][];
      colour: string;
      width: number;
      dash: number[];
      halo: string;
      halo_width: number;
      halo_opacity: number;
      /** Faint in a section that cuts this axis outside these edges. */
      through: readonly [axis: number, low: number, high: number] | null;
    }
  | {
      kind: "tag";
      text: string;
      x: number;
      y: number;
      width: number;
      height: number;
      colour: string;
      /** The rectangle that it belongs to. */
      of: Rect;
    }
);

/** The synced traits of `Overlay` in rfwidget/widget/overlay.py, in the same order. */
export interface SyncedState {
  /** Model id of the MultiCanvas under the overlay; "" if there is none. */
  canvas: string;
  /** Index of the layer of that canvas that holds the heat map. */
  heat_layer: number;
  /** Image pixels. */
  image_size: [width: number, height: number];
  /** CSS pixels per image pixel, along x. */
  scale: number;
  /** How many times as high as wide an image pixel is: 1, but for a signal, which is an image of one row. */
  stretch: number;
  /** Of the model's input: 1 for signals, 2 for images, 3 for volumes. */
  axes: 1 | 2 | 3;
  /** Of a volume: then the image is the picture of its sections. */
  volume: Volume | null;
  /** CSS pixels around the image. */
  margin: [left: number, top: number, right: number, bottom: number];
  /** Cells. */
  grid: Cell;
  field: Field | null;
  selected: Cell | null;
  /** Grows with every change of layer, image or channel; a picture of an older one is never shown. */
  revision: number;
  state: "ready" | "busy" | "error";
  /** Plain text for the read-out. */
  status: string;
  /** 0 .. 1, or -1 if nothing is under way. */
  progress: number;
  error: { message: string; details: string } | null;
  /** Accessible name. */
  label: string;
  /** Name of the output layer. */
  layer: string;
  feature_map: FeatureMap | null;
  show_heat: boolean;
  /** 0 .. 1. */
  heat_opacity: number;
  /** Which cells see this? */
  query: Edges | null;
  /** Whether clicks and drags ask that, as they do with Shift. */
  asking: boolean;
  /** All layers, in the order of the network; empty while they are not measured. */
  layers: LayerRow[];
  /** Name of the layer to compare with; "" if there is none. */
  compare: string;
  contours: Contours | null;
  /** What is being computed while nobody waits. */
  background: string;
  /** CSS pixels that the image is high at most. */
  height: number;
  /** The layers that can be chosen: name, width and height of the grid. */
  choices: [name: string, ...grid: number[]][];
  controls: Controls | null;
  /** Why something that was wanted with the controls could not be; "": nothing. */
  notice: string;
  /** What the model gets of the image, in words. */
  input: string;
  thumbnails: Thumbnails | null;
  /** What the view draws under its own marks: the tags, and while it is zoomed all that the canvas draws otherwise. */
  marks: SceneMark[];
  /** What lies under them, for a page that has no canvas; null: the canvas has it. */
  scene: Scene | null;
  palette: Palette | null;
  /** How many cells' heat maps a page is to hold before anybody asks; 0: none. */
  live_cells: number;
  words: Words;
}

/** Browser to kernel: show this cell. */
export interface Request {
  kind: "request";
  client: string;
  seq: number;
  revision: number;
  cell: Cell;
}

/** Browser to kernel: which cells see this box? null: nothing is asked any more. */
export interface Query {
  kind: "query";
  box: Edges | null;
}

/** Browser to kernel: show this layer. */
export interface Choice {
  kind: "layer";
  name: string;
}

/** Browser to kernel: a control is to have another value. */
export interface Setting {
  kind: "set";
  name: string;
  value: boolean | number | string | null;
}

/** Browser to kernel: show this image file. */
export interface Upload {
  kind: "upload";
  name: string;
  /** The message's buffer. */
  content: ArrayBuffer;
}

/** Browser to kernel: make something, or that the last view is gone; as `ACTIONS` in rfwidget/widget/overlay.py. */
export interface Action {
  kind: "act";
  name: "png" | "code" | "page" | "channels" | "scene" | "gone";
}

/** Browser to kernel: whether the picture is magnified, and so the page draws what a canvas would draw too fat. */
export interface Magnified {
  kind: "zoom";
  zoomed: boolean;
}

/** Browser to kernel: the pointer is here, and heat maps are missing. */
export interface Hint {
  kind: "hint";
  client: string;
  revision: number;
  cell: Cell;
  /** Heat maps of that revision that have come unasked. */
  came: number;
  /** Whether the pointer is on the widget, or has just been: it may soon press. */
  near: boolean;
  /** Whether somebody can see the widget. */
  shown: boolean;
}

export type PageMessage = Request | Query | Choice | Setting | Upload | Action | Magnified | Hint;

/** Whose request a message of the kernel speaks of; `client` is "" if the kernel drew of its own accord. */
export interface Addressed {
  client: string;
  seq: number;
}

/** A heat map in one byte a pixel, as `Levels` in rfwidget/widget/heat.py. */
export interface LevelMap {
  cell: Cell;
  /** The pixels that it covers. */
  box: Box;
  /** Pixels of the image along each side of a byte: 1, or 2 where the map is a coarse one. */
  step: number;
  /** The magnitude that the ends of the bytes stand for. */
  full: number;
  /** Sum of all magnitudes, in full values. */
  weight: number;
  /** The bytes; they travel in the message's buffer. */
  levels: Uint8ClampedArray<ArrayBuffer>;
}

/** A heat map, and where it belongs. */
export interface Picture extends LevelMap {
  /** Grows with every answer of the kernel, over all pages. */
  serial: number;
  revision: number;
  /** The cell's receptive field. */
  rect: Edges;
  milliseconds: number;
  /** Shares of the gradient's mass, each with a box that holds it. */
  mass: [share: number, box: Edges][];
}

/** Kernel to browser: the request has arrived. */
export interface Ack extends Addressed {
  kind: "ack";
}

/** Kernel to browser: a newer request has taken the place of this one. */
export interface Superseded extends Addressed {
  kind: "superseded";
}

/** Kernel to browser: a heat map, asked for or not. */
export interface Answer extends Addressed, Picture {
  kind: "answer";
}

/** Kernel to browser: heat maps that nobody has asked for yet. */
export interface Maps {
  kind: "maps";
  revision: number;
  maps: Omit<LevelMap, "levels">[];
  /** The bytes of all of them, one after the other. */
  levels: Uint8ClampedArray<ArrayBuffer>;
}

/** Kernel to browser: a cell of the notebook runs, and no maps are made meanwhile; or it has ended. */
export interface Pause {
  kind: "pause";
  on: boolean;
}

/** Kernel to browser: a heat map could not be made. */
export interface Failure extends Addressed {
  kind: "failure";
  serial: number;
  revision: number;
  /** Plain words. */
  message: string;
  /** The traceback. */
  details: string;
}

/** Kernel to browser: save a file, a picture or a page by the end of its name. */
export interface Download {
  kind: "download";
  name: string;
  /** The message's buffer. */
  content: DataView;
}

/** Kernel to browser: put a text on the clipboard. */
export interface Copy {
  kind: "copy";
  text: string;
}

export type KernelMessage = Ack | Superseded | Answer | Maps | Pause | Failure | Download | Copy;

type Content = Record<string, unknown>;
type Parser<M> = (content: Content, buffer: DataView | undefined) => M | null;

const PARSERS: { [K in KernelMessage["kind"]]: Parser<Extract<KernelMessage, { kind: K }>> } = {
  ack: (content) => addressed(content, { kind: "ack" }),
  superseded: (content) => addressed(content, { kind: "superseded" }),
  answer: (content, buffer) => {
    const picture = parsePicture(content, buffer);
    return picture && addressed(content, { kind: "answer", ...picture });
  },
  maps: ({ revision, maps }, buffer) => {
    const heads = (Array.isArray(maps) ? maps : []).map((map) => parseHead((map ?? {}) as Content));
    const levels = bytesOf(buffer);
    const size = heads.reduce((sum, head) => sum + (head ? head.size : NaN), 0);
    if (!isWhole(revision) || size !== levels.length) return null;
    return { kind: "maps", revision, maps: heads.flatMap((head) => (head ? [head.map] : [])), levels };
  },
  pause: ({ on }) => (typeof on === "boolean" ? { kind: "pause", on } : null),
  failure: (content) => {
    const { serial, revision, message, details } = content;
    if (!isWhole(serial) || !isWhole(revision)) return null;
    const words = { message: String(message ?? ""), details: String(details ?? "") };
    return addressed(content, { kind: "failure", serial, revision, ...words });
  },
  download: ({ name }, buffer) =>
    typeof name === "string" && buffer ? { kind: "download", name, content: buffer } : null,
  copy: ({ text }) => (typeof text === "string" ? { kind: "copy", text } : null),
};

/** A message of the kernel, checked; null if it is none of ours or malformed. */
export function parseMessage(content: unknown, buffers: readonly DataView[] = []): KernelMessage | null {
  if (typeof content !== "object" || content === null) return null;
  const { kind } = content as Content;
  return isKind(kind) ? PARSERS[kind](content as Content, buffers[0]) : null;
}

function isKind(kind: unknown): kind is KernelMessage["kind"] {
  return typeof kind === "string" && Object.hasOwn(PARSERS, kind);
}

/** A message together with whose request it speaks of; null if that is malformed. */
function addressed<M>({ client, seq }: Content, message: M): (M & Addressed) | null {
  return typeof client === "string" && isWhole(seq) ? { ...message, client, seq } : null;
}

function parsePicture(content: Content, buffer: DataView | undefined): Picture | null {
  const { serial, revision, rect, milliseconds } = content;
  const head = parseHead(content);
  const levels = bytesOf(buffer);
  if (!isWhole(serial) || !isWhole(revision) || head?.size !== levels.length) return null;
  if (!Array.isArray(rect) || (rect.length !== 4 && rect.length !== 6)) return null;
  return {
    ...head.map,
    serial,
    revision,
    rect: rectFrom(rect),
    milliseconds: typeof milliseconds === "number" ? milliseconds : NaN,
    mass: listOf(content.mass, isShare),
    levels,
  };
}

/** What is told of a heat map beside its bytes, and how many there are; null if it is malformed. */
function parseHead(content: Content): { map: Omit<LevelMap, "levels">; size: number } | null {
  const { cell, box, step, full, weight } = content;
  if (!(isWholes(cell, 2) || isWholes(cell, 3)) || !isWholes(box, 4) || !isWhole(step) || step < 1) return null;
  if (!Number.isFinite(full) || !Number.isFinite(weight)) return null;
  const [left = 0, top = 0, right = 0, bottom = 0] = box;
  const [width, height] = [(right - left) / step, (bottom - top) / step];
  if (width < 0 || height < 0) return null;
  const place: { cell: Cell; box: Box } = { cell: cell as unknown as Cell, box: [left, top, right, bottom] };
  return { map: { ...place, step, full: full as number, weight: weight as number }, size: width * height };
}

/** A rectangle or box as it travels: JSON has no infinity, so an edge that is no number is infinite. */
export function rectFrom(edges: readonly unknown[]): Edges {
  const endless = (k: number) => (k < edges.length / 2 ? -Infinity : Infinity);
  return edges.map((value, k) => (typeof value === "number" ? value : endless(k)));
}

/** The bytes of a binary buffer, without a copy; what is no view of a buffer is one itself in some hosts. */
export function bytesOf(buffer: DataView | ArrayBuffer | undefined): Uint8ClampedArray<ArrayBuffer> {
  if (!ArrayBuffer.isView(buffer)) return new Uint8ClampedArray(buffer ?? []);
  return new Uint8ClampedArray(buffer.buffer as ArrayBuffer, buffer.byteOffset, buffer.byteLength);
}

function listOf<T>(value: unknown, fits: (item: unknown) => item is T): T[] {
  return Array.isArray(value) ? value.filter(fits) : [];
}

function isShare(value: unknown): value is [number, Edges] {
  return Array.isArray(value) && Number.isFinite(value[0]) && (isWholes(value[1], 4) || isWholes(value[1], 6));
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function isWholes(value: unknown, length: number): value is number[] {
  return Array.isArray(value) && value.length === length && value.every(isWhole);
}
