/** The bar at the top: which layer, which image, and what can be saved or opened. */

import type { Host } from "../hosts/host.js";
import type { SyncedState } from "../protocol.js";
import { Combobox, type Entry } from "./combobox.js";
import { assign, button, choices, html, say, show, svg } from "./dom.js";

export interface ToolbarOptions {
  /** The bytes of an image file as they travel; null: what is shown comes from no file. */
  read: ((file: File) => Promise<ArrayBuffer>) | null;
  /** Whether the widget fills the screen. */
  toggleScreen: () => void;
  help: () => void;
  /** Something went wrong before the host could hear of it; "": all is well again. */
  complain: (words: string) => void;
}

/** How long a button says that it has done its work, in milliseconds. */
const CONFIRMED = 2000;

export class Toolbar {
  readonly element: HTMLElement;
  readonly layers: Combobox;
  readonly #host: Host;
  readonly #options: ToolbarOptions;
  readonly #images = html("select", "rfwidget-images", { "aria-label": "Image" });
  readonly #file = html("input", "rfwidget-file", { type: "file", accept: "image/*", tabindex: -1, hidden: "" });
  readonly #thing = new Text("");
  readonly #layerName = html("span", "rfwidget-name", { "aria-hidden": "true" }, ["Layer"]);
  readonly #thingName = html("span", "rfwidget-name", { "aria-hidden": "true" }, [this.#thing]);
  readonly #open: HTMLButtonElement;
  readonly #actions: HTMLButtonElement[];
  readonly #code: HTMLButtonElement;
  /** How many texts had been copied when the line of Python was asked for; null: it has not been. */
  #copies: number | null = null;
  #choices: SyncedState["choices"] = [];
  #entries: Entry[] = [];

  constructor(host: Host, options: ToolbarOptions, signal: AbortSignal) {
    this.#host = host;
    this.#options = options;
    this.layers = new Combobox("Layer", (name) => host.choose(name), signal);
    this.#images.addEventListener("change", () => host.set("image", this.#images.value), { signal });
    const labels = host.get("words").labels;
    const labelled = (name: string, click: () => void) => toolButton(labels[name], click);
    this.#open = labelled("open", () => this.#file.click());
    const picked = () => {
      const file = this.#file.files?.[0];
      this.#file.value = ""; // the same file again is a change, too
      if (file) void this.take(file);
    };
    this.#file.addEventListener("change", picked, { signal });
    this.#code = labelled("code", () => {
      this.#copies = host.copies;
      host.act("code");
    });
    const page = labelled("page", () => {
      host.act("page");
      confirm(page, "Working\u2026");
    });
    this.#actions = [this.#code, labelled("png", () => host.act("png")), page];
    const screen = labelled("screen", options.toggleScreen);
    screen.append(icon("M1 5V1H5M9 1H13V5M13 9V13H9M5 13H1V9"));
    const help = labelled("help", options.help);
    this.element = html("div", "rfwidget-toolbar", {}, [
      this.#layerName,
      this.layers.element,
      this.#thingName,
      this.#images,
      this.#open,
      this.#file,
      html("span", "rfwidget-space"),
      ...this.#actions,
      screen,
      help,
    ]);
  }

  /** Shows a picture of the user's. */
  async take(file: File): Promise<void> {
    const { read } = this.#options;
    if (!read || !this.#host.get("controls")?.actions) return;
    this.#options.complain("");
    try {
      const content = await read(file);
      if (!this.#host.upload(file.name, content)) throw new Error("the kernel cannot be reached: run the cell again");
    } catch (error) {
      this.#options.complain(error instanceof Error ? error.message : String(error));
    }
  }

  draw(): void {
    const host = this.#host;
    const controls = host.get("controls");
    const actions = controls?.actions ?? false;
    const signal = host.get("axes") === 1;
    say(this.#thing, host.get("words").thing);
    if (host.get("choices") !== this.#choices) {
      this.#choices = host.get("choices");
      this.#entries = this.#choices.map(([name, ...grid]) => ({
        name,
        note: signal ? `${grid[0]} cells` : grid.join(" \u00d7 "),
      }));
    }
    if (this.#copies !== null && host.copies > this.#copies) {
      this.#copies = null;
      confirm(this.#code, "Copied");
    }
    this.layers.show(this.#entries, host.get("layer"));
    const alone = this.#entries.length === 0;
    show(this.layers.element, !alone);
    choices(this.#images, controls?.images ?? [], controls?.image ?? "");
    show(this.#images, actions);
    show(this.#layerName, !alone);
    show(this.#thingName, actions);
    for (const action of this.#actions) show(action, actions);
    show(this.#open, actions && !signal && this.#options.read !== null); // signals come as arrays
  }
}

function toolButton([words, title] = ["", ""], click: () => void): HTMLButtonElement {
  const made = button("rfwidget-button", words, { title, "aria-label": labelOf(words, title) });
  made.addEventListener("click", click);
  return made;
}

/** A drawing of lines, 14 by 14. */
function icon(lines: string): SVGElement {
  const path = svg("path", "");
  assign(path, { d: lines, fill: "none", stroke: "currentColor", "stroke-width": 1.8 });
  const drawing = svg("svg", "rfwidget-icon", [path]);
  assign(drawing, { width: 14, height: 14, "aria-hidden": "true" });
  return drawing;
}

/** A sign alone has no name that could be spoken. */
function labelOf(words: string, title: string): string {
  return /\w/.test(words) ? words : title;
}

/** Has a button say for a moment that it has done its work. */
function confirm(button: HTMLButtonElement, words: string): void {
  const before = button.getAttribute("data-words") ?? button.textContent ?? "";
  button.setAttribute("data-words", before);
  say(button, words);
  button.setAttribute("aria-label", words);
  setTimeout(() => {
    say(button, before);
    button.setAttribute("aria-label", before);
  }, CONFIRMED);
}
