/**
 * One model on one page: its request queue, the heat map on show and the selected cell, shared by all views.
 *
 * An answer is shown if it is newer than the last one shown and belongs to the model's revision, whoever asked for it:
 * answers reach all pages. After a change of revision the kernel answers of its own accord; this side asks only after a
 * reload, and when its own question was overtaken by such a change.
 */

import type { AnyModel } from "@anywidget/types";
import { sameCell } from "../geometry.js";
import {
  type Box,
  type Cell,
  type Choice,
  type Message,
  type Picture,
  parseMessage,
  type Query,
  type Reason,
  type Request,
  type SyncedState,
} from "../protocol.js";
import type { Activity, Host } from "../view/overlay.js";
import { layerPainter, type Painter } from "../view/painter.js";
import { RequestQueue, type Timer } from "./requests.js";

/** Traits that the kernel's layer shows or that move it. */
const PAINTED = ["image_size", "margin", "scale", "show_heat", "heat_opacity"] as const;
/** ipywidgets' mark on the views of a kernel that has gone; anywidget's own view misses it, the box around it does not. */
const GONE = ".jupyter-widgets-disconnected";

const timer: Timer = (milliseconds, callback) => {
  const id = setTimeout(callback, milliseconds);
  return () => clearTimeout(id);
};

export class KernelHost implements Host {
  readonly offered = null;
  readonly #model: AnyModel<SyncedState>;
  readonly #client = randomName();
  readonly #queue: RequestQueue;
  readonly #watchers = new Set<() => void>();
  readonly #elements = new Set<HTMLElement>();
  #painter: Painter | null = null;
  #selected: Cell | null;
  #query: Box | null;
  #picture: Picture | null = null;
  #painted: Cell | null = null;
  #serial = -1;
  #failure: { message: string; details: string } | null = null;
  #connected = true;
  #closed = false;

  constructor(model: AnyModel<SyncedState>) {
    this.#model = model;
    this.#selected = model.get("selected");
    this.#query = model.get("query");
    this.#queue = new RequestQueue({
      send: (seq, { cell, reason }) => this.#send({ seq, cell, reason }),
      timer,
      idle: () => kernelOf(model)?.status === "idle",
      changed: () => this.#notify(),
    });
    model.on("msg:custom", (content: unknown, buffers: DataView[]) => this.#receive(parseMessage(content, buffers)));
    model.on("comm_live_update", () => queueMicrotask(() => this.#checkConnection()));
    model.on("change", () => this.#changed());
    model.on("change:revision", () => this.#dropPicture());
    model.on("change:selected", () => this.#follow());
    model.on("change:query", () => (this.#query = model.get("query")));
    for (const name of PAINTED) model.on(`change:${name}`, () => void this.#repaint());
    model.on("change:canvas", () => void this.#findLayer());
    model.on("change:heat_layer", () => void this.#findLayer());
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

  request(cell: Cell, reason: Reason): void {
    this.#selected = cell;
    this.#failure = null;
    this.#queue.ask(cell, reason);
    this.#notify();
  }

  get query(): Box | null {
    return this.#query;
  }

  ask(box: Box | null): void {
    this.#query = box;
    this.#tell({ kind: "query", box });
    this.#notify();
  }

  choose(layer: string): void {
    if (layer !== this.#model.get("layer")) this.#tell({ kind: "layer", name: layer });
    this.#notify();
  }

  watch(changed: () => void, signal: AbortSignal): void {
    this.#watchers.add(changed);
    signal.addEventListener("abort", () => this.#watchers.delete(changed));
  }

  /** A view of this model is shown in an element, until the signal aborts. */
  shownIn(element: HTMLElement, signal: AbortSignal): void {
    this.#elements.add(element);
    if (!this.#painter) void this.#findLayer(); // after a reload the canvas may have come after this model
    signal.addEventListener("abort", () => this.#elements.delete(element));
    if (element.closest(GONE)) this.#checkConnection();
    else if (this.#selected && !this.#picture && this.#queue.phase === "idle") this.request(this.#selected, "refresh");
  }

  close(): void {
    this.#closed = true;
    this.#queue.reset();
    this.#painter?.close();
    this.#watchers.clear();
  }

  #send(request: Pick<Request, "seq" | "cell" | "reason">): boolean {
    const { seq, cell, reason } = request;
    const message: Request = {
      kind: "request",
      client: this.#client,
      seq,
      revision: this.#model.get("revision"),
      cell,
      reason,
    };
    // Idle again after this very message: the handler has run, so an acknowledgement that has not come is lost.
    const status = (reply: unknown) => isIdle(reply) && this.#queue.alive();
    try {
      this.#model.send(message, { iopub: { status } });
      return true;
    } catch {
      // Only a kernel that is gone makes this throw.
      this.#connected = false;
      return false;
    }
  }

  /** Says something that wants no answer. */
  #tell(message: Query | Choice): void {
    try {
      this.#model.send(message);
    } catch {
      this.#connected = false;
    }
  }

  #receive(message: Message | null): void {
    if (!message || this.#closed) return;
    this.#connected = true;
    this.#queue.alive();
    const mine = message.client === this.#client;
    if (message.kind === "ack") {
      if (mine) this.#queue.acknowledge(message.seq);
    } else {
      // First of all: a pending request can be on its way while this answer is painted.
      if (mine) this.#queue.finish(message.seq);
      if (message.kind === "answer") this.#accept(message.picture, mine);
      if (message.kind === "failure") this.#fail(message);
      if (message.kind === "superseded" && !this.#queue.wanted) this.#selected = this.#model.get("selected");
    }
    this.#notify();
  }

  #accept(picture: Picture, mine: boolean): void {
    const revision = this.#model.get("revision");
    if (picture.revision === revision && picture.serial > this.#serial) {
      this.#serial = picture.serial;
      this.#failure = null;
      this.#picture = picture;
      if (!this.#queue.wanted) this.#selected = picture.cell;
      void this.#repaint();
    } else if (mine && picture.revision < revision && !this.#queue.wanted && this.#selected) {
      this.#queue.ask(this.#selected, "refresh");
    }
  }

  #fail({ serial, revision, message, details }: Extract<Message, { kind: "failure" }>): void {
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
    this.#notify();
  }

  #checkConnection(): void {
    this.#connected = [...this.#elements].some((element) => !element.closest(GONE));
    // Whatever was under way went to a kernel, or a connection, that is no more.
    this.#queue.reset();
    this.#notify();
  }

  /** Finds the layer of the MultiCanvas to paint into; without one, each view paints for itself. */
  async #findLayer(): Promise<void> {
    const id = this.#model.get("canvas");
    const stack = id ? await this.#model.widget_manager.get_model(id).catch(() => null) : null;
    if (this.#closed || id !== this.#model.get("canvas")) return;
    this.#painter?.close();
    this.#painter = layerPainter(stack, this.#model.get("heat_layer"), () => void this.#repaint());
    await this.#repaint();
  }

  async #repaint(): Promise<void> {
    const shown = this.#model.get("show_heat") ? this.#picture : null;
    if (!shown || !sameCell(this.#painted, shown.cell)) this.#painted = null;
    const stage = {
      image_size: this.#model.get("image_size"),
      margin: this.#model.get("margin"),
      scale: this.#model.get("scale"),
    };
    await this.#painter?.paint(shown, this.#model.get("heat_opacity"), stage);
    if (this.#closed || shown !== (this.#model.get("show_heat") ? this.#picture : null)) return;
    this.#painted = shown?.cell ?? null;
    this.#notify();
  }

  #notify(): void {
    for (const changed of this.#watchers) changed();
  }
}

/** JupyterLab's own connection to the kernel; other hosts have none to show. */
function kernelOf(model: AnyModel<SyncedState>): { status?: unknown } | null | undefined {
  return (model.widget_manager as { kernel?: { status?: unknown } | null }).kernel;
}

/** Whether a kernel's status message says that it is idle. */
function isIdle(reply: unknown): boolean {
  return (reply as { content?: { execution_state?: unknown } } | null)?.content?.execution_state === "idle";
}

/** A name that no other page has; also where the page is not served securely, as `randomUUID` demands. */
function randomName(): string {
  return [...crypto.getRandomValues(new Uint32Array(4))].map((word) => word.toString(36)).join("-");
}
