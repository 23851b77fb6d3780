/** Stand-ins for kernel, widget manager and ipycanvas, for the tests. */

import type { AnyModel } from "@anywidget/types";
import type {
  Action,
  Cell,
  Choice,
  Controls,
  Hint,
  Magnified,
  Palette,
  Query,
  Request,
  Setting,
  SyncedState,
  Upload,
  Words,
} from "./protocol.js";
import type { LayerModel, StackModel } from "./view/painter.js";

/** Grey as bright as the byte, and opaque. */
export const PALETTE: Palette = {
  rgba: new DataView(Uint8Array.from({ length: 1024 }, (_, k) => (k % 4 === 3 ? 255 : k >> 2)).buffer),
  ranked: false,
  ticks: [
    [0, 0],
    [1, 1],
  ],
};

/** The words for an image, as far as a test reads them. */
export const WORDS: Words = {
  ...{ thing: "Image", element: "pixel", unit: "px", part: "the box ", whole: "area" },
  help: [["Mouse", [["hover", "receptive field of the nearest cell"]]]],
  keys: "Arrow keys move to the next cell.",
  labels: {
    code: ["Code", "Copy the line of Python"],
    png: ["PNG", "Save a picture"],
    page: ["Page", "Save a page"],
    open: ["Open\u2026", "Open a picture"],
    screen: ["", "Fill the screen"],
    help: ["?", "Help"],
    show_heat: ["gradient map", "d(cell) / d(image)"],
    attention: ["attention", "What the token attends to"],
    show_dots: ["centres", "Centres of the receptive fields"],
    live: ["live", "The gradient map follows the pointer"],
  },
};

/** An image of 160 x 96 at three times its size, a 32 x 16 grid, fields of 34 x 33 pixels that overhang left and top. */
export const STATE: SyncedState = {
  canvas: "stack",
  heat_layer: 1,
  image_size: [160, 96],
  scale: 3,
  stretch: 1,
  axes: 2,
  volume: null,
  margin: [40, 20, 10, 10],
  grid: [32, 16],
  field: { x: { cells: 1, pixels: 4, edges: [[-10, 24]] }, y: { cells: 1, pixels: 5, edges: [[-5, 28]] } },
  selected: null,
  revision: 1,
  state: "ready",
  status: "",
  progress: -1,
  error: null,
  label: "Receptive fields of layer feature_grid",
  layer: "feature_grid",
  feature_map: null,
  show_heat: true,
  heat_opacity: 0.7,
  query: null,
  asking: false,
  layers: [],
  compare: "",
  contours: null,
  background: "",
  height: 480,
  choices: [],
  controls: null,
  notice: "",
  input: "",
  thumbnails: null,
  marks: [],
  scene: null,
  palette: PALETTE,
  live_cells: 0,
  words: WORDS,
};

export const CONTROLS: Controls = {
  image: "grace_hopper",
  images: ["grace_hopper", "rings"],
  channel: null,
  channels: 3,
  colormap: "automatic",
  colormaps: ["automatic", "magma"],
  colours: ["#000000", "#ffffff"],
  map_colours: ["#440154", "#fde724"],
  signed: false,
  heat_scale: "sqrt",
  heat_map: "gradient",
  heat_maps: ["gradient"],
  spotlight: true,
  live: true,
  show_dots: true,
  dots_every: 1,
  show_first: true,
  show_central: true,
  show_last: true,
  show_naive: false,
  show_erf: false,
  show_pixels: false,
  bands: "0, 1, 2",
  band_count: 3,
  actions: true,
};

/** A model without a kernel: records what is sent, and receives what a test says. */
export class FakeModel {
  readonly sent: Request[] = [];
  /** Where maps are missing. */
  readonly hints: Hint[] = [];
  /** The kernel's status while it handles the last hint. */
  heard: () => void = () => {};
  /** What wants no answer. */
  readonly told: (Query | Choice | Setting | Action | Magnified | Omit<Upload, "content">)[] = [];
  /** The buffers of the message sent last. */
  buffers: ArrayBuffer[] = [];
  readonly stack = new FakeStack(3);
  reachable = true;
  /** The connection of the widget manager, where there is one. */
  kernel: { status: string } | undefined = undefined;
  /** The kernel's status while it handles the last request. */
  status: (state: "busy" | "idle") => void = () => {};
  readonly #state: SyncedState;
  readonly #listeners = new Map<string, Set<(...args: unknown[]) => void>>();

  constructor(state: Partial<SyncedState> = {}) {
    this.#state = { ...STATE, ...state };
  }

  get asAnyModel(): AnyModel<SyncedState> {
    return this as unknown as AnyModel<SyncedState>;
  }

  get widget_manager() {
    return {
      kernel: this.kernel,
      get_model: async (id: string) => {
        if (id !== "stack") throw new Error("model not found");
        return this.stack;
      },
    };
  }

  get<K extends keyof SyncedState>(name: K): SyncedState[K] {
    return this.#state[name];
  }

  send(
    content: Request | Hint | (typeof this.told)[number],
    callbacks?: { iopub: { status: (message: unknown) => void } },
    buffers: ArrayBuffer[] = [],
  ): void {
    if (!this.reachable) throw new Error("Cannot send");
    this.buffers = buffers;
    if (content.kind === "hint") {
      this.hints.push(content);
      this.heard = () => callbacks?.iopub.status({ content: { execution_state: "idle" } });
      return;
    }
    if (content.kind !== "request") {
      this.told.push(content);
      return;
    }
    this.sent.push(content);
    this.status = (state) => callbacks?.iopub.status({ content: { execution_state: state } });
  }

  on(name: string, callback: (...args: unknown[]) => void): void {
    const known = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, known.add(callback));
  }

  off(name: string, callback: (...args: unknown[]) => void): void {
    this.#listeners.get(name)?.delete(callback);
  }

  emit(name: string, ...args: unknown[]): void {
    for (const callback of this.#listeners.get(name) ?? []) callback(...args);
  }

  /** How many listen to it. */
  get listeners(): number {
    return [...this.#listeners.values()].reduce((sum, callbacks) => sum + callbacks.size, 0);
  }

  /** The kernel sets traits. */
  change(traits: Partial<SyncedState>): void {
    Object.assign(this.#state, traits);
    for (const name of Object.keys(traits)) this.emit(`change:${name}`);
    this.emit("change");
  }

  /** The kernel acknowledges the request sent last. */
  acknowledge(request = this.last): void {
    this.emit("msg:custom", { kind: "ack", client: request.client, seq: request.seq }, []);
  }

  /** The kernel answers a request with an orange box of 2 x 3 pixels, or of its own accord if there is none. */
  answer(serial: number, request: Partial<Request> = this.last): void {
    const { client = "", seq = 0, cell = [0, 0], revision = this.get("revision") } = request;
    const content = { kind: "answer", client, seq, ...headOf(cell), serial, revision, milliseconds: 1.5 };
    const levels = new Uint8Array(2 * 3).fill(200);
    this.emit("msg:custom", { ...content, rect: [4, 6, 38, 39] }, [new DataView(levels.buffer)]);
  }

  /** The kernel sends maps of some cells before anybody asks. */
  sendMaps(cells: readonly Cell[], revision = this.get("revision"), step = 1): void {
    const levels = new Uint8Array(2 * 3 * cells.length).fill(201);
    const maps = cells.map((cell) => ({ ...headOf(cell), box: [4, 6, 4 + 2 * step, 6 + 3 * step], step }));
    this.emit("msg:custom", { kind: "maps", revision, maps }, [new DataView(levels.buffer)]);
  }

  get last(): Request {
    const request = this.sent.at(-1);
    if (!request) throw new Error("nothing has been sent");
    return request;
  }
}

function headOf(cell: Cell) {
  return { cell, box: [4, 6, 6, 9], step: 1, full: 2, weight: 5 };
}

/** A MultiCanvas whose layers record what is drawn. */
export class FakeStack implements StackModel {
  readonly layers: FakeLayer[];
  /** What shows all layers: the stack's own canvas, and a view of it. */
  readonly whole = new FakeLayer();
  readonly view = new FakeLayer();
  readonly ctx = this.whole.ctx as unknown as CanvasRenderingContext2D;
  readonly views = { view: Promise.resolve({ ctx: this.view.ctx as unknown as CanvasRenderingContext2D }) };

  constructor(count: number) {
    this.layers = Array.from({ length: count }, () => new FakeLayer());
  }

  get(): LayerModel[] {
    return this.layers as unknown as LayerModel[];
  }
}

/** A layer of 1060 x 636 backing pixels: twice the CSS pixels of the stage. */
export class FakeLayer {
  readonly canvas = { width: 2 * (40 + 480 + 10), height: 2 * (20 + 288 + 10) };
  readonly calls: unknown[][] = [];
  readonly ctx: Record<string, unknown>;
  resized: (() => void) | null = null;

  constructor() {
    const record =
      (name: string) =>
      (...args: unknown[]) =>
        this.calls.push([name, ...args]);
    const methods = ["save", "restore", "setTransform", "clearRect", "drawImage", "beginPath", "rect", "fill", "clip"];
    this.ctx = { canvas: this.canvas, ...Object.fromEntries(methods.map((name) => [name, record(name)])) };
  }

  /** How often it was painted on. */
  get paints(): number {
    return this.calls.filter(([name]) => name === "restore").length;
  }

  on(_: string, callback: () => void): void {
    this.resized = callback;
  }

  off(): void {
    this.resized = null;
  }

  /** The last call of a method. */
  call(name: string): unknown[] | undefined {
    return this.calls.findLast(([other]) => other === name)?.slice(1);
  }
}

/** Lets everything run that only waits for settled promises. */
export async function settled(): Promise<void> {
  for (let k = 0; k < 20; k++) await Promise.resolve();
}

/** Gives an element a bounding box, which a page without layout lacks. */
export function placeAt(element: Element, left: number, top: number, width: number, height: number): void {
  element.getBoundingClientRect = () => new DOMRect(left, top, width, height);
}
