/**
 * The state of one widget in a kernel, on one page: its request queue, the heat map on show and the selected cell,
 * shared by all views.
 *
 * An answer is shown if it is newer than the last one shown and belongs to the model's revision, whoever asked for it:
 * answers reach all pages. After a change of revision the kernel answers of its own accord; this side asks only after a
 * reload, and when its own question was overtaken by such a change.
 */

import type { AnyModel } from "@anywidget/types";
import { cellsIn, fieldOf, middleOf, sameCell } from "../geometry.js";
import { findCanvas, hasLostKernel, isKernelIdle, knowsKernel, whenIdle } from "../jupyter.js";
import {
  type Action,
  type Addressed,
  type Answer,
  type Cell,
  type Copy,
  type Download,
  type Edges,
  type Failure,
  type KernelMessage,
  type LevelMap,
  type Maps,
  type PageMessage,
  type Picture,
  parseMessage,
  type Scene,
  type SyncedState,
  type Upload,
} from "../protocol.js";
import { type layerPainter, lookOf, type Painter } from "../view/painter.js";
import { stageOf } from "../view/stage.js";
import { doBrowserAction } from "./browser-actions.js";
import { Hints } from "./hints.js";
import { type Activity, type Changed, type Host, Watchers } from "./host.js";
import { RequestQueue, type Timer } from "./requests.js";
import { type Live, ResidentMaps, sizeOf, underPointer } from "./resident.js";

/** Traits that the kernel's layer shows or that move it. */
const PAINTED = [
  "image_size",
  "margin",
  "scale",
  "stretch",
  "show_heat",
  "heat_opacity",
  "controls",
  "palette",
] as const;

/** Milliseconds after which a canvas that has not come is done without: VS Code looks for its script for a minute. */
export const LATE = 5_000;

/** Milliseconds after which a pointer that has left the widget is not near any more. */
const NEAR = 2_000;

/** Milliseconds between two counts of the maps that have come. */
const COUNT = 250;

const timer: Timer = (milliseconds, callback) => {
  const id = setTimeout(callback, milliseconds);
  return () => clearTimeout(id);
};

export class KernelHost implements Host {
  readonly offered = null;
  readonly #life = new AbortController();
  readonly #model: AnyModel<SyncedState>;
  readonly #client = randomName();
  readonly #queue: RequestQueue;
  readonly #watchers = new Watchers();
  readonly #elements = new Set<HTMLElement>();
  readonly #maps = new ResidentMaps();
  readonly #hints: Hints;
  readonly #painterOn: typeof layerPainter | null;
  #counting = false;
  /** The frame in which the watchers are told of a request. */
  #telling = 0;
  #came = 0;
  /** When the pointer has left the widget; infinite while it is there. */
  #left = 0;
  /** There is no canvas: the photograph has been asked for. */
  #bare = false;
  #painter: Painter | null = null;
  /** The cell under the pointer, until another one is selected. */
  #hovered: Cell | null = null;
  #selected: Cell | null;
  #query: Edges | null;
  #picture: Picture | null = null;
  #painted: Cell | null = null;
  #serial = -1;
  #failure: { message: string; details: string } | null = null;
  #connected = true;
  #copies = 0;

  /** `painterOn` paints on a canvas of the kernel's; null: there is none. */
  constructor(model: AnyModel<SyncedState>, painterOn: typeof layerPainter | null) {
    this.#model = model;
    this.#painterOn = painterOn;
    this.#selected = model.get("selected");
    this.#query = model.get("query");
    this.#queue = new RequestQueue({
      send: (seq, cell) => this.#request(seq, cell),
      timer,
      idle: () => isKernelIdle(model),
      changed: () => this.#watchers.notify(),
    });
    this.#hints = new Hints({
      missing: () => this.#missing(),
      shown: () => [...this.#elements].some(isSeen),
      send: (cell, shown) => this.#hint(cell, shown),
      timer,
    });
    this.#on("msg:custom", (content: unknown, buffers: DataView[]) => this.#receive(parseMessage(content, buffers)));
    this.#on("comm_live_update", () => queueMicrotask(() => this.#checkConnection()));
    this.#on("change", () => this.#changed());
    this.#on("change:live_cells", () => this.#hints.look());
    document.addEventListener("visibilitychange", () => this.#hints.hurry(), { signal: this.#life.signal });
    this.#on("change:revision", () => this.#dropAll());
    this.#on("change:selected", () => this.#follow());
    this.#on("change:query", () => (this.#query = model.get("query")));
    for (const name of PAINTED) this.#on(`change:${name}`, () => void this.#repaint());
    for (const name of ["canvas", "heat_layer"]) this.#on(`change:${name}`, () => void this.#findLayer());
    void this.#findLayer();
  }

  get<K extends keyof SyncedState>(name: K): SyncedState[K] {
    return this.#model.get(name);
  }

  get scene(): Scene | null {
    return this.#painter ? null : this.#model.get("scene"); // asked for by another page, or before the canvas came
  }

  get selected(): Cell | null {
    return this.#selected;
  }

  get picture(): Picture | null {
    return this.#picture;
  }

  get shown(): Picture | null {
    if (!this.#model.get("show_heat")) return null;
    return (this.#isLive ? underPointer(this.#maps, this.#hovered, this.#selected) : null) ?? this.#picture;
  }

  get live(): Live {
    const { size, coarse } = this.#maps;
    return { held: size, wanted: this.#model.get("live_cells"), cells: cellsIn(this.#model.get("grid")), coarse };
  }

  get painted(): Cell | null | undefined {
    return this.#painter ? this.#painted : undefined;
  }

  get activity(): Activity {
    const phase = this.#queue.phase;
    const status = this.#model.get("status");
    if (!this.#connected) {
      return { state: "disconnected", text: "disconnected: run the cell again to go on", error: null };
    }
    const error = this.#failure ?? this.#model.get("error");
    if (error || this.#model.get("state") === "error") return { state: "error", text: status, error };
    if (phase === "lost") return { state: "error", text: "no answer came: click again", error: null };
    if (phase === "waiting") {
      const what = knowsKernel(this.#model) ? "running cell" : "kernel; if it is gone, run the cell again";
      return { state: "busy", text: `busy: waiting for the ${what}`, error: null };
    }
    if (phase === "working") return { state: "busy", text: "busy: computing", error: null };
    const busy = phase === "sent" || this.#model.get("state") === "busy";
    return { state: busy ? "busy" : "ready", text: status, error: null };
  }

  /** Shows the map of the cell under the pointer at once, if it is there. */
  hover(cell: Cell | null): void {
    const before = this.shown;
    const arrives = cell && !this.#near;
    this.#hovered = cell;
    this.#left = cell ? Infinity : Date.now();
    if (this.shown !== before) void this.#repaint();
    this.#hints[arrives ? "hurry" : "look"]();
  }

  request(cell: Cell): void {
    const before = this.shown;
    this.#selected = cell;
    this.#hovered = null;
    this.#failure = null;
    const map = this.#isLive ? this.#maps.get(cell) : null;
    this.#picture = map ?? this.#picture;
    if (this.shown !== before) void this.#repaint();
    this.#queue.ask(cell, map !== null);
    // With the next frame: dealing with the press lays out the page, which is slow where much has changed.
    cancelAnimationFrame(this.#telling);
    this.#telling = requestAnimationFrame(() => this.#watchers.notify());
  }

  get query(): Edges | null {
    return this.#query;
  }

  ask(box: Edges | null): void {
    this.#query = box;
    this.#send({ kind: "query", box });
    this.#watchers.notify();
  }

  choose(layer: string): void {
    // While another layer is on its way, the one on show is a choice as well.
    const settled = this.#model.get("state") !== "busy";
    if (!settled || layer !== this.#model.get("layer")) this.#send({ kind: "layer", name: layer });
    this.#watchers.notify();
  }

  set(name: string, value: boolean | number | string | null): void {
    this.#send({ kind: "set", name, value });
    this.#watchers.notify();
  }

  upload(name: string, content: ArrayBuffer): boolean {
    return this.#send({ kind: "upload", name }, undefined, [content]);
  }

  magnified(zoomed: boolean): void {
    this.#send({ kind: "zoom", zoomed });
  }

  act(name: Action["name"]): void {
    this.#send({ kind: "act", name });
  }

  watch(changed: Changed, signal: AbortSignal): void {
    this.#watchers.add(changed, signal);
  }

  /** A view of this model is shown in an element, until the signal aborts. */
  shownIn(element: HTMLElement, signal: AbortSignal): void {
    this.#elements.add(element);
    if (!this.#painter) void this.#findLayer(); // after a reload the canvas may have come after this model
    signal.addEventListener("abort", () => {
      this.#elements.delete(element);
      if (!this.#elements.size) this.act("gone");
    });
    if (hasLostKernel(element)) this.#checkConnection();
    else if (this.#selected && !this.#picture && this.#queue.phase === "idle") this.request(this.#selected);
    this.#hints.look();
  }

  close(): void {
    this.#life.abort();
    cancelAnimationFrame(this.#telling);
    this.#queue.reset();
    this.#hints.reset();
    this.#painter?.close();
    this.#watchers.clear();
  }

  /** Listens to the model for as long as this lives. */
  #on(event: string, callback: Parameters<AnyModel["on"]>[1]): void {
    this.#model.on(event, callback);
    this.#life.signal.addEventListener("abort", () => this.#model.off(event, callback));
  }

  #request(seq: number, cell: Cell): boolean {
    const revision = this.#model.get("revision");
    // Idle again after this very message: the handler has run, so an acknowledgement that has not come is lost.
    const idle = whenIdle(this.#model, () => this.#queue.alive());
    return this.#send({ kind: "request", client: this.#client, seq, revision, cell }, idle);
  }

  get #isLive(): boolean {
    return this.#model.get("live_cells") > 0;
  }

  /** The cell around which maps are missing. */
  #missing(): Cell | null {
    const { held, wanted, cells } = this.live;
    if (!this.#connected || !wanted) return null;
    const around = this.#around;
    return held < Math.min(wanted, cells) || !this.#maps.get(around) ? around : null;
  }

  get #near(): boolean {
    return Date.now() - this.#left < NEAR;
  }

  /** Where the user is. */
  get #around(): Cell {
    return this.#hovered ?? this.#selected ?? middleOf(this.#model.get("grid"));
  }

  #hint(cell: Cell, shown: boolean): boolean {
    const revision = this.#model.get("revision");
    const hint = {
      kind: "hint",
      client: this.#client,
      revision,
      cell,
      came: this.#came,
      near: this.#near,
      shown,
    } as const;
    try {
      this.#model.send(
        hint,
        whenIdle(this.#model, () => this.#hints.heard()),
      );
      return true;
    } catch {
      return false; // nobody waits for it: whether the kernel has gone shows by what is asked
    }
  }

  /** Keeps maps that nobody has asked for yet. */
  #hold({ revision, maps, levels }: Maps): void {
    if (revision !== this.#model.get("revision")) return;
    this.#came += maps.length;
    if (!this.#isLive) return;
    const before = this.shown;
    let start = 0;
    for (const map of maps) {
      const [width, height] = sizeOf(map);
      const end = start + width * height;
      this.#keep({ ...map, levels: levels.slice(start, end) });
      start = end;
    }
    this.#maps.trim(this.#model.get("live_cells"), this.#around);
    if (this.shown !== before) void this.#repaint();
    this.#hints.look();
    if (this.#counting) return;
    this.#counting = true;
    timer(COUNT, () => {
      this.#counting = false;
      this.#watchers.notify();
    });
  }

  #keep(map: LevelMap): void {
    const field = this.#model.get("field");
    if (!field) return;
    const rest = { serial: -1, revision: this.#model.get("revision"), milliseconds: NaN, mass: [] };
    this.#maps.add({ ...map, ...rest, rect: fieldOf(field, map.cell) });
  }

  /** Sends a message; false if nobody is there to hear it. */
  #send(
    message: Exclude<PageMessage, Upload> | Omit<Upload, "content">,
    callbacks?: Parameters<AnyModel["send"]>[1],
    buffers?: ArrayBuffer[],
  ): boolean {
    try {
      this.#model.send(message, callbacks, buffers);
      return true;
    } catch {
      // Only a kernel that is gone makes this throw.
      this.#connected = false;
      return false;
    }
  }

  #receive(message: KernelMessage | null): void {
    if (!message) return;
    this.#connected = true;
    if (message.kind === "maps") {
      this.#hints.heard();
      this.#hints.pause(false);
      this.#hold(message);
      return;
    }
    if (message.kind === "pause") {
      this.#hints.pause(message.on);
      return;
    }
    this.#queue.alive();
    switch (message.kind) {
      case "ack":
        if (this.#isMine(message)) this.#queue.acknowledge(message.seq);
        break;
      case "superseded":
        this.#finish(message);
        if (!this.#queue.wanted) this.#selected = this.#model.get("selected");
        break;
      case "answer":
        this.#finish(message);
        this.#accept(message);
        break;
      case "failure":
        this.#finish(message);
        this.#fail(message);
        break;
      default:
        void this.#act(message);
    }
    this.#hints.look();
    this.#watchers.notify();
  }

  async #act(message: Download | Copy): Promise<void> {
    const done = await doBrowserAction(message);
    if (done && message.kind === "copy") this.#copies++;
    this.#watchers.notify();
  }

  get copies(): number {
    return this.#copies;
  }

  #isMine({ client }: Addressed): boolean {
    return client === this.#client;
  }

  /** Ends a request of ours, before anything is painted: the pending one can be on its way meanwhile. */
  #finish(message: Addressed): void {
    if (this.#isMine(message)) this.#queue.finish(message.seq);
  }

  #accept(answer: Answer): void {
    const revision = this.#model.get("revision");
    if (answer.revision === revision && answer.serial > this.#serial) {
      this.#serial = answer.serial;
      this.#failure = null;
      if (this.#isLive) this.#maps.add(answer);
      // A map that was there is never followed by one that was asked for before.
      const ahead = this.#queue.wanted && sameCell(this.#picture?.cell ?? null, this.#queue.wanted);
      if (!ahead || sameCell(answer.cell, this.#queue.wanted)) this.#picture = answer;
      if (!this.#queue.wanted) this.#selected = answer.cell;
      void this.#repaint();
    } else if (this.#isMine(answer) && answer.revision < revision && !this.#queue.wanted && this.#selected) {
      this.#queue.ask(this.#selected);
    }
  }

  #fail({ serial, revision, message, details }: Failure): void {
    if (revision !== this.#model.get("revision") || serial <= this.#serial) return;
    this.#serial = serial;
    this.#failure = { message, details };
    this.#picture = null;
    void this.#repaint();
  }

  /** Everything that is there belongs to what was shown before. */
  #dropAll(): void {
    this.#maps.clear();
    this.#came = 0;
    this.#dropPicture();
    this.#hints.look();
  }

  #dropPicture(): void {
    this.#picture = null;
    this.#failure = null;
    void this.#repaint();
  }

  /** Python has chosen a cell, or none; while a request of ours is under way, that one counts. */
  #follow(): void {
    if (this.#queue.wanted || sameCell(this.#selected, this.#model.get("selected"))) return;
    this.#selected = this.#model.get("selected");
    this.#hovered = null;
    if (!this.#selected) this.#dropPicture();
    const map = this.#isLive ? this.#maps.get(this.#selected) : null;
    if (!map || sameCell(this.#picture?.cell ?? null, this.#selected)) return;
    this.#picture = map;
    void this.#repaint();
  }

  #changed(): void {
    this.#queue.alive();
    this.#watchers.notify();
  }

  #checkConnection(): void {
    this.#connected = [...this.#elements].some((element) => !hasLostKernel(element));
    // Whatever was under way went to a kernel, or a connection, that is no more.
    this.#queue.reset();
    this.#hints.reset();
    this.#hints.look();
    this.#watchers.notify();
  }

  /** Finds the layer of the MultiCanvas to paint into; without one, each view paints for itself. */
  async #findLayer(): Promise<void> {
    const id = this.#model.get("canvas");
    const inTime = timer(LATE, () => this.#doWithout());
    const canvas = await findCanvas(this.#model);
    inTime();
    if (this.#life.signal.aborted || id !== this.#model.get("canvas")) return;
    this.#painter?.close();
    this.#painter = this.#painterOn?.(canvas, this.#model.get("heat_layer"), () => void this.#repaint()) ?? null;
    if (!this.#painter) this.#doWithout();
    await this.#repaint();
    this.#watchers.notify(); // who paints has changed
  }

  /** Asks for the photograph and all marks, once somebody would see them. */
  #doWithout(): void {
    if (this.#bare || this.#elements.size === 0) return;
    this.#bare = true;
    this.act("scene");
  }

  /** Whoever has changed more than the heat map tells the watchers of it. */
  async #repaint(): Promise<void> {
    const { shown } = this;
    if (!shown || !sameCell(this.#painted, shown.cell)) this.#painted = null;
    await this.#painter?.paint(shown, lookOf(this), stageOf(this));
    if (this.#life.signal.aborted || shown !== this.shown) return;
    this.#painted = shown?.cell ?? null;
    this.#watchers.notify("heat");
  }
}

/** Whether an element has a place in the window that somebody looks at. */
function isSeen(element: HTMLElement): boolean {
  if (document.hidden || !element.isConnected) return false;
  const { top, bottom, left, right } = (element.querySelector(".rfwidget-overlay") ?? element).getBoundingClientRect();
  return right > left && bottom > Math.max(top, 0) && top < window.innerHeight;
}

/** A name that no other page has; also where the page is not served securely, as `randomUUID` demands. */
function randomName(): string {
  return Math.random().toString(36).slice(2);
}
