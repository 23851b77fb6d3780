/**
 * What kernel and browser tell each other: the synced state and the messages.
 *
 * Both mirror rfwidget/widget/overlay.py, name by name and in the same order (tests/widget/test_overlay.py compares
 * them). Messages of the kernel are checked here and nowhere else. Nothing here draws or decides.
 */

/** Column and row of a cell of the grid, both from 0. */
export type Cell = readonly [x: number, y: number];

/** Left, top, right and bottom edge in image pixels; infinite along an unbounded axis. */
export type Rect = readonly [left: number, top: number, right: number, bottom: number];

/** Whole pixels of the image, given by their edges. */
export type Box = readonly [left: number, top: number, right: number, bottom: number];

/** Receptive fields along one axis: the edges of the first `cells` cells, which repeat every `pixels` pixels. */
export interface AxisField {
  cells: number;
  pixels: number;
  /** null: unbounded, every cell sees the whole axis. */
  edges: [low: number, high: number][] | null;
}

/** The receptive fields of all cells: the two axes. */
export interface Field {
  x: AxisField;
  y: AxisField;
}

/** The layer's output as a picture, one pixel per cell. */
export interface FeatureMap {
  size: [width: number, height: number];
  rgba: DataView;
}

/** A layer of the strip. */
export interface LayerRow {
  name: string;
  /** Cells. */
  grid: Cell;
  /** Pixels; null along an unbounded axis. */
  size: readonly [width: number | null, height: number | null];
  /** Whether all cells see the same extent. */
  uniform: boolean;
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

/** The synced traits of `Overlay` in rfwidget/widget/overlay.py, in the same order. */
export interface SyncedState {
  /** Model id of the MultiCanvas under the overlay; "" if there is none. */
  canvas: string;
  /** Index of the layer of that canvas that holds the heat map. */
  heat_layer: number;
  /** Image pixels. */
  image_size: [width: number, height: number];
  /** CSS pixels per image pixel. */
  scale: number;
  /** CSS pixels around the image. */
  margin: [left: number, top: number, right: number, bottom: number];
  /** Cells. */
  grid: [width: number, height: number];
  field: Field | null;
  selected: [x: number, y: number] | null;
  /** Grows with every change of layer, image, channel or colours; a picture of an older one is never shown. */
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
  query: Box | null;
  /** Whether clicks and drags ask that, as they do with Shift. */
  asking: boolean;
  /** All layers, in the order of the network; empty while they are not measured. */
  layers: LayerRow[];
  /** Name of the layer to compare with; "" if there is none. */
  compare: string;
  contours: Contours | null;
  /** What is being computed while nobody waits. */
  background: string;
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
  box: Box | null;
}

/** Browser to kernel: show this layer. */
export interface Choice {
  kind: "layer";
  name: string;
}

export type PageMessage = Request | Query | Choice;

/** Whose request a message of the kernel speaks of; `client` is "" if the kernel drew of its own accord. */
export interface Addressed {
  client: string;
  seq: number;
}

/** A heat map, and where it belongs. */
export interface Picture {
  /** Grows with every answer of the kernel, over all pages. */
  serial: number;
  revision: number;
  cell: Cell;
  /** The pixels that it covers. */
  box: Box;
  /** The cell's receptive field. */
  rect: Rect;
  milliseconds: number;
  /** 4 bytes for each pixel of the box, straight alpha; the message's buffer. */
  rgba: Uint8ClampedArray<ArrayBuffer>;
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

/** Kernel to browser: save a PNG file. */
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

export type KernelMessage = Ack | Superseded | Answer | Failure | Download | Copy;

type Content = Record<string, unknown>;
type Parser<M> = (content: Content, buffer: DataView | undefined) => M | null;

const PARSERS: { [K in KernelMessage["kind"]]: Parser<Extract<KernelMessage, { kind: K }>> } = {
  ack: (content) => addressed(content, { kind: "ack" }),
  superseded: (content) => addressed(content, { kind: "superseded" }),
  answer: (content, buffer) => {
    const picture = parsePicture(content, buffer);
    return picture && addressed(content, { kind: "answer", ...picture });
  },
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
  const { serial, revision, cell, box, rect, milliseconds } = content;
  if (!isWhole(serial) || !isWhole(revision) || !isWholes(cell, 2) || !isWholes(box, 4)) return null;
  const [left = 0, top = 0, right = 0, bottom = 0] = box;
  const [width, height] = [right - left, bottom - top];
  if (width < 0 || height < 0 || (buffer?.byteLength ?? 0) !== width * height * 4) return null;
  if (!Array.isArray(rect) || rect.length !== 4) return null;
  return {
    serial,
    revision,
    cell: [cell[0] ?? 0, cell[1] ?? 0],
    box: [left, top, right, bottom],
    rect: rectFrom(rect),
    milliseconds: typeof milliseconds === "number" ? milliseconds : NaN,
    rgba: bytesOf(buffer),
  };
}

/** A rectangle as it travels: JSON has no infinity, so an edge that is no number is infinite. */
export function rectFrom(edges: readonly unknown[]): Rect {
  const edge = (value: unknown, otherwise: number) => (typeof value === "number" ? value : otherwise);
  return [edge(edges[0], -Infinity), edge(edges[1], -Infinity), edge(edges[2], Infinity), edge(edges[3], Infinity)];
}

/** The bytes of a binary buffer, without a copy. */
export function bytesOf(buffer: DataView | undefined): Uint8ClampedArray<ArrayBuffer> {
  if (!buffer) return new Uint8ClampedArray();
  return new Uint8ClampedArray(buffer.buffer as ArrayBuffer, buffer.byteOffset, buffer.byteLength);
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function isWholes(value: unknown, length: number): value is number[] {
  return Array.isArray(value) && value.length === length && value.every(isWhole);
}
