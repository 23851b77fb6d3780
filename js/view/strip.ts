/**
 * The layers as a row of bars, as tall as their receptive fields are large against the image; a press or an arrow key
 * chooses a layer.
 *
 * The line at half height is the image. What is taller than two images is cut off with a notch; an unbounded field is
 * hatched, one that differs from cell to cell is striped, an unknown one is an empty frame: never colour alone.
 */

import { countOf, covering } from "../geometry.js";
import type { Box, Cell, LayerRow } from "../protocol.js";
import { assign, html, say } from "./dom.js";
import { trackKeys } from "./keys.js";

/** What the strip needs to know. */
export interface StripState {
  layers: readonly LayerRow[];
  /** Name of the layer on show. */
  layer: string;
  /** The layers that can be chosen; null: all. */
  offered: ReadonlySet<string> | null;
  image: Cell;
  query: Box | null;
  /** What is being computed while nobody waits. */
  background: string;
}

const STEPS: Record<string, number> = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };

export class LayerStrip {
  readonly element: HTMLElement;
  readonly #bars = html("div", "rfwidget-bars", { role: "listbox", "aria-label": "Layers" });
  readonly #caption = html("span", "rfwidget-caption");
  readonly #background = html("span", "rfwidget-background", { role: "status" });
  readonly #choose: (name: string) => void;
  #state: StripState = { layers: [], layer: "", offered: null, image: [0, 0], query: null, background: "" };
  /** The layer chosen last: it may not be on show yet. */
  #chosen = "";
  #hovered: number | null = null;

  constructor(choose: (name: string) => void, signal: AbortSignal) {
    this.#choose = choose;
    const line = html("div", "rfwidget-caption-line", {}, [this.#caption, this.#background]);
    this.element = html("div", "rfwidget-strip", {}, [this.#bars, line]);
    this.#bars.addEventListener("click", (event) => this.#pick(indexOf(event.target)), { signal });
    this.#bars.addEventListener("pointermove", (event) => this.#hover(indexOf(event.target)), { signal });
    this.#bars.addEventListener("pointerleave", () => this.#hover(null), { signal });
    // Drawn before it is in the page, it has no size to scroll in.
    const arrival = new ResizeObserver(() => this.#reveal());
    arrival.observe(this.#bars);
    signal.addEventListener("abort", () => arrival.disconnect());
    const isBar = (target: EventTarget | undefined) => target instanceof Node && target.parentNode === this.#bars;
    trackKeys(isBar, (event) => this.#key(event), signal);
  }

  draw(state: StripState): void {
    const { layers, image, offered } = this.#state;
    const changed = state.layers !== layers || state.image.join() !== image.join();
    const moved = changed || state.layer !== this.#state.layer;
    if (moved) this.#chosen = state.layer;
    this.#state = state;
    if (changed) {
      this.#hovered = null;
      this.#bars.replaceChildren(...state.layers.map((row, index) => bar(row, index, state.image)));
    }
    this.#bars.hidden = state.layers.length < 2;
    this.element.hidden = this.#bars.hidden && !state.background;
    if (moved || state.offered !== offered) this.#mark();
    if (moved) this.#reveal();
    this.#report();
  }

  #mark(): void {
    const current = this.#indexOf(this.#chosen);
    [...this.#bars.children].forEach((child, index) => {
      assign(child, {
        "aria-selected": `${index === current}`,
        "aria-disabled": `${!this.#offers(index)}`,
        // One place in the tab order: the chosen layer.
        tabindex: index === Math.max(current, 0) ? 0 : -1,
      });
    });
  }

  /** Scrolls to the chosen layer; not by scrollIntoView, which would scroll the page as well. */
  #reveal(): void {
    const bar = this.#bars.children[this.#indexOf(this.#chosen)];
    if (bar instanceof HTMLElement) this.#bars.scrollLeft = bar.offsetLeft - this.#bars.clientWidth / 2;
  }

  #report(): void {
    const row = this.#state.layers[this.#hovered ?? this.#indexOf(this.#chosen)];
    say(this.#caption, row ? this.#describe(row) : "");
    say(this.#background, this.#state.background);
  }

  #describe(row: LayerRow): string {
    const { query, image } = this.#state;
    const seeing = query && row.field ? countOf(covering(row.field, row.grid, query)) : null;
    return inWords(row, image) + (seeing === null ? "" : `; ${seeing} see${seeing === 1 ? "s" : ""} the marked box`);
  }

  #hover(index: number | null): void {
    this.#hovered = index;
    this.#report();
  }

  #pick(index: number | null): void {
    const name = index === null ? undefined : this.#state.layers[index]?.name;
    if (name === undefined || index === null || !this.#offers(index)) return;
    this.#chosen = name;
    this.#choose(name);
    this.#mark();
    this.#report();
  }

  #key(event: KeyboardEvent): void {
    const wanted = this.#goal(event.key, indexOf(event.composedPath()[0]) ?? 0);
    if (wanted === null) return;
    this.#pick(wanted);
    const bar = this.#bars.children[wanted];
    if (bar instanceof HTMLElement) bar.focus({ preventScroll: true });
    this.#reveal();
  }

  /** Where a key leads from a bar: to another that can be chosen; null: nowhere. */
  #goal(key: string, from: number): number | null {
    const offered = this.#state.layers.map((_, index) => index).filter((index) => this.#offers(index));
    if (key === "Home") return offered[0] ?? null;
    if (key === "End") return offered.at(-1) ?? null;
    if (key === "Enter" || key === " ") return from;
    const step = STEPS[key];
    if (step === undefined) return null;
    const ahead = offered.filter((index) => (index - from) * step > 0);
    return ahead.at(step > 0 ? 0 : -1) ?? null;
  }

  #offers(index: number): boolean {
    const { offered, layers } = this.#state;
    return !offered || offered.has(layers[index]?.name ?? "");
  }

  #indexOf(name: string): number {
    return this.#state.layers.findIndex((row) => row.name === name);
  }
}

/** A layer's receptive field in words: "mix: 34 × 34 px, stride 4, grid 16 × 16". */
export function inWords({ name, field, size, uniform, grid }: LayerRow, image: Cell): string {
  if (!field) return `${name}: not measured`;
  const length = (side: number | null) => (side === null ? "\u221e" : `${Math.round(side * 100) / 100}`);
  const strides = [field.x, field.y].map(({ pixels, cells }) => length(pixels / cells));
  const remarks = [
    size.includes(null) ? "grows with the image" : "",
    uniform ? "" : "differs from cell to cell",
    size.some((side, k) => side !== null && side > (image[k] ?? 0)) ? "larger than the image" : "",
  ].filter(Boolean);
  const stride = strides[0] === strides[1] ? strides[0] : strides.join(" \u00d7 ");
  return [
    `${name}: ${size.map(length).join(" \u00d7 ")} px`,
    `stride ${stride}`,
    `grid ${grid.join(" \u00d7 ")}`,
    ...remarks,
  ].join(", ");
}

/** How large a field is against the image, along the axis where it is larger; infinite if unbounded. */
export function ratioOf({ size }: LayerRow, image: Cell): number {
  return Math.max(...size.map((side, k) => (side ?? Infinity) / (image[k] || 1)));
}

function bar(row: LayerRow, index: number, image: Cell): HTMLElement {
  const ratio = row.field ? ratioOf(row, image) : 0;
  const fill = html("div", "rfwidget-fill");
  fill.style.height = row.field ? `${Math.min(50 * ratio, 100)}%` : "100%";
  const kinds = [
    row.field ? "" : "rfwidget-unknown",
    ratio === Infinity ? "rfwidget-unbounded" : "",
    ratio > 2 && ratio < Infinity ? "rfwidget-cut" : "",
    row.uniform ? "" : "rfwidget-uneven",
  ];
  const label = inWords(row, image);
  const attributes = { role: "option", "aria-label": label, title: label, "data-index": index };
  return html("div", ["rfwidget-bar", ...kinds].filter(Boolean).join(" "), attributes, [fill]);
}

function indexOf(target: EventTarget | null | undefined): number | null {
  const bar = target instanceof Element ? target.closest("[data-index]") : null;
  return bar ? Number(bar.getAttribute("data-index")) : null;
}
