/**
 * The state of one widget in a kernel, on one page: its request queue, the heat map on show and the selected cell,
 * shared by all views.
 *
 * An answer is shown if it is newer than the last one shown and belongs to the model's revision, whoever asked for it:
 * answers reach all pages. After a change of revision the kernel answers of its own accord; this side asks only after a
 * reload, and when its own question was overtaken by such a change.
 */

import type { AnyModel } from "@anywidget/types";
import { sameCell } from "../geometry.js";
import { findCanvas, hasLostKernel, isKernelIdle, saysIdle } from "../jupyter.js";
import {
  type Action,
  type Addressed,
  type Answer,
  type Box,
  type Cell,
  type Copy,
  type Download,
  type Failure,
  type KernelMessage,
  type PageMessage,
  type Picture,
  parseMessage,
  type SyncedState,
  type Upload,
} from "../protocol.js";
import { layerPainter, type Painter } from "../view/painter.js";
import { stageOf } from "../view/stage.js";
import { doBrowserAction } from "./browser-actions.js";
import { type Activity, type Host, Watchers } from "./host.js";
import { RequestQueue, type Timer } from "./requests.js";

/** Traits that the kernel's layer shows or that move it. */
const PAINTED = ["image_size", "margin", "scale", "show_heat", "heat_opacity", "controls"] as const;

const timer: Timer = (milliseconds, callback) => {
  const id = setTimeout(callback, milliseconds);
  return () => clearTimeout(id);
};

export class KernelHost implements Host {
  readonly offered = null;
  readonly scene = null;
  readonly #life = new AbortController();
  readonly #model: AnyModel<SyncedState>;
  readonly #client = randomName();
  readonly #queue: RequestQueue;
  readonly #watchers = new Watchers();
  readonly #elements = new Set<HTMLElement>();
  #painter: Painter | null = null;
  #selected: Cell | null;
  #query: Box | null;
  #picture: Picture | null = null;
  #painted: Cell | null = null;
  #serial = -1;
  #failure: { message: string; details: string } | null = null;
  #connected = true;
  #copies = 0;

  constructor(model: AnyModel<SyncedState>) {
    this.#model = model;
    this.#selected = model.get("selected");
    this.#query = model.get("query");
    this.#queue = new RequestQueue({
      send: (seq, cell) => this.#request(seq, cell),
      timer,
      idle: () => isKernelIdle(model),
      changed: () => this.#watchers.notify(),
    });
    this.#on("msg:custom", (content: unknown, buffers: DataView[]) => this.#receive(parseMessage(content, buffers)));
    this.#on("comm_live_update", () => queueMicrotask(() => this.#checkConnection()));
    this.#on("change", () => this.#changed());
    this.#on("change:revision", () => this.#dropPicture());
    this.#on("change:selected", () => this.#follow());
    this.#on("change:query", () => (this.#query = model.get("query")));
    for (const name of PAINTED) this.#on(`change:${name}`, () => void this.#repaint());
    for (const name of ["canvas", "heat_layer"]) this.#on(`change:${name}`, () => void this.#findLayer());
    void this.#findLayer();
  }

  get<K extends keyof SyncedState>(name: K): SyncedState[K] {
    return this.#model.get(name);
  }

  get selected(): Cell | null {
    return this.#selected;
  }

  get picture(): Picture | null {
    return this.#picture;
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
    if (phase === "waiting") return { state: "busy", text: "busy: waiting for the running cell", error: null };
    if (phase === "working") return { state: "busy", text: "busy: computing", error: null };
    const busy = phase === "sent" || this.#model.get("state") === "busy";
    return { state: busy ? "busy" : "ready", text: status, error: null };
  }

  request(cell: Cell): void {
    this.#selected = cell;
    this.#failure = null;
    this.#queue.ask(cell);
    this.#watchers.notify();
  }

  get query(): Box | null {
    return this.#query;
  }

  ask(box: Box | null): void {
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

  watch(changed: () => void, signal: AbortSignal): void {
    this.#watchers.add(changed, signal);
  }

  /** A view of this model is shown in an element, until the signal aborts. */
  shownIn(element: HTMLElement, signal: AbortSignal): void {
    this.#elements.add(element);
    if (!this.#painter) void this.#findLayer(); // after a reload the canvas may have come after this model
    signal.addEventListener("abort", () => this.#elements.delete(element));
    if (hasLostKernel(element)) this.#checkConnection();
    else if (this.#selected && !this.#picture && this.#queue.phase === "idle") this.request(this.#selected);
  }

  close(): void {
    this.#life.abort();
    this.#queue.reset();
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
    const status = (reply: unknown) => saysIdle(reply) && this.#queue.alive();
    return this.#send({ kind: "request", client: this.#client, seq, revision, cell }, { iopub: { status } });
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
      this.#picture = answer;
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

  #dropPicture(): void {
    this.#picture = null;
    this.#failure = null;
    void this.#repaint();
  }

  /** Python has chosen a cell, or none; while a request of ours is under way, that one counts. */
  #follow(): void {
    if (this.#queue.wanted) return;
    this.#selected = this.#model.get("selected");
    if (!this.#selected) this.#dropPicture();
  }

  #changed(): void {
    this.#queue.alive();
    this.#watchers.notify();
  }

  #checkConnection(): void {
    this.#connected = [...this.#elements].some((element) => !hasLostKernel(element));
    // Whatever was under way went to a kernel, or a connection, that is no more.
    this.#queue.reset();
    this.#watchers.notify();
  }

  /** Finds the layer of the MultiCanvas to paint into; without one, each view paints for itself. */
  async #findLayer(): Promise<void> {
    const id = this.#model.get("canvas");
    const canvas = await findCanvas(this.#model);
    if (this.#life.signal.aborted || id !== this.#model.get("canvas")) return;
    this.#painter?.close();
    this.#painter = layerPainter(canvas, this.#model.get("heat_layer"), () => void this.#repaint());
    await this.#repaint();
  }

  async #repaint(): Promise<void> {
    const shown = this.#model.get("show_heat") ? this.#picture : null;
    if (!shown || !sameCell(this.#painted, shown.cell)) this.#painted = null;
    const spotlight = this.#model.get("controls")?.spotlight ?? false;
    await this.#painter?.paint(shown, this.#model.get("heat_opacity"), stageOf(this), spotlight);
    if (this.#life.signal.aborted || shown !== (this.#model.get("show_heat") ? this.#picture : null)) return;
    this.#painted = shown?.cell ?? null;
    this.#watchers.notify();
  }
}

/** A name that no other page has; also where the page is not served securely, as `randomUUID` demands. */
function randomName(): string {
  return [...crypto.getRandomValues(new Uint32Array(4))].map((word) => word.toString(36)).join("-");
}
