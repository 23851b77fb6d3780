/**
 * The layers as a row of bars, as tall as the logarithm of their receptive fields; a press or an arrow key chooses a layer.
 *
 * A dotted line is the image, brackets below are strides and the blocks of nested models. What is larger than the image,
 * or reads what already sees all of it, is pale; an unbounded field is hatched, one that differs from cell to cell is
 * striped, an unknown one is an empty frame: never colour alone.
 */

import { axesOf, countOf, covering, formatNumber } from "../geometry.js";
import type { Edges, LayerRow, Words } from "../protocol.js";
import { assign, heading, html, say, show } from "./dom.js";
import { trackKeys } from "./keys.js";

/** What the strip needs to know. */
export interface StripState {
  layers: readonly LayerRow[];
  /** Name of the layer on show. */
  layer: string;
  /** The layers that can be chosen; null: all. */
  offered: ReadonlySet<string> | null;
  /** Lengths of the image along x, y, ..., and its words. */
  image: readonly number[];
  words: StripWords;
  query: Edges | null;
  /** What is being computed while nobody waits. */
  background: string;
}

export type StripWords = Pick<Words, "thing" | "element" | "unit">;

const NO_WORDS: StripWords = { thing: "", element: "", unit: "" };
const STEPS: Record<string, number> = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };
/** CSS pixels: a bar is at most and at least so wide. */
const WIDEST = 64;
const NARROWEST = 3;
/** Part of the scale above what is largest on it. */
const HEADROOM = 1.2;
/** Most gridlines. */
const LINES = 4;

export class LayerStrip {
  readonly element: HTMLElement;
  readonly #bars = html("div", "rfwidget-bars", { role: "listbox", "aria-label": "Layers" });
  readonly #caption = html("span", "rfwidget-caption");
  readonly #background = html("span", "rfwidget-background", { role: "status" });
  readonly #lines = html("div", "rfwidget-gridlines", { "aria-hidden": "true" });
  readonly #brackets = html("div", "rfwidget-brackets", { "aria-hidden": "true" });
  readonly #plot = html("div", "rfwidget-plot", {}, [this.#lines, this.#bars]);
  readonly #choose: (name: string) => void;
  #items: HTMLElement[] = [];
  #state: StripState = {
    ...{ layers: [], layer: "", offered: null, image: [0, 0], words: NO_WORDS, query: null, background: "" },
  };
  /** The layer chosen last: it may not be on show yet. */
  #chosen = "";
  #hovered: number | null = null;

  readonly #unit = new Text("");

  constructor(choose: (name: string) => void, signal: AbortSignal) {
    this.#choose = choose;
    const title = heading("Receptive field of every layer, in ", this.#unit);
    const line = html("div", "rfwidget-caption-line", {}, [title, this.#background, this.#caption]);
    this.element = html("div", "rfwidget-strip", {}, [line, this.#plot]);
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
    if (changed) this.#build();
    show(this.#plot, state.layers.length > 1);
    show(this.element, !this.#plot.hidden || state.background !== "");
    if (moved || state.offered !== offered) this.#mark();
    if (moved) this.#reveal();
    this.#report();
  }

  #build(): void {
    const { layers, image, words } = this.#state;
    this.#hovered = null;
    say(this.#unit, `${words.element}s`);
    const scale = scaleFor(layers, image);
    this.#items = layers.map((row, index) => bar(row, index, image, scale, words));
    const count = layers.length;
    this.#brackets.replaceChildren(
      ...brackets(layers.map(strideOf), count, 0),
      ...(layers.some(({ name }) => name.includes("/")) ? brackets(layers.map(blockOf), count, 1) : []),
    );
    for (const item of this.#items) item.style.width = `calc(var(--rfwidget-bars-width) / ${count})`;
    const inner = `max(min(100%, ${count * WIDEST}px), ${count * NARROWEST}px)`;
    this.#bars.style.setProperty("--rfwidget-bars-width", inner);
    this.#bars.replaceChildren(...this.#items, this.#brackets);
    this.#plot.classList.toggle(
      "rfwidget-blocks",
      layers.some(({ name }) => name.includes("/")),
    );
    this.#lines.replaceChildren(...gridlines(scale, image, words));
  }

  #mark(): void {
    const current = this.#indexOf(this.#chosen);
    this.#items.forEach((child, index) => {
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
    const bar = this.#items[this.#indexOf(this.#chosen)];
    if (bar) this.#bars.scrollLeft = bar.offsetLeft - this.#bars.clientWidth / 2;
  }

  #report(): void {
    const row = this.#state.layers[this.#hovered ?? this.#indexOf(this.#chosen)];
    const words = row ? this.#describe(row) : "";
    say(this.#caption, words);
    assign(this.#caption, { title: words });
    say(this.#background, this.#state.background);
  }

  #describe(row: LayerRow): string {
    const { query, image, words } = this.#state;
    const seeing = query && row.field ? countOf(covering(row.field, row.grid, query)) : null;
    return (
      inWords(row, image, words) + (seeing === null ? "" : `; ${seeing} see${seeing === 1 ? "s" : ""} what is marked`)
    );
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
    this.#items[wanted]?.focus({ preventScroll: true });
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
export function inWords(row: LayerRow, image: readonly number[], { thing, unit }: StripWords): string {
  const all = `the ${thing.toLowerCase()}`;
  const { name, field, size, uniform, grid, unproductive } = row;
  if (!field) return `${name}: not measured`;
  const length = (side: number | null) => (side === null ? "\u221e" : formatNumber(side));
  const remarks = [
    size.includes(null) ? `grows with ${all}` : "",
    uniform ? "" : "differs from cell to cell",
    isBeyond(row, image) && !size.includes(null) ? `larger than ${all}` : "",
    unproductive ? `unproductive: what it reads sees all of ${all}` : "",
  ].filter(Boolean);
  return [
    `${name}: ${size.map(length).join(" \u00d7 ")} ${unit}`,
    strideOf(row),
    size.length === 1 ? `${grid[0]} cells` : `grid ${grid.join(" \u00d7 ")}`,
    ...remarks,
  ].join(", ");
}

/** How large a field is against the image, along the axis where it is larger; infinite if unbounded. */
export function ratioOf({ size }: LayerRow, image: readonly number[]): number {
  return Math.max(...size.map((side, k) => (side ?? Infinity) / (image[k] || 1)));
}

/** Places on a logarithmic axis that begins at 1 pixel, as parts of its length. */
export interface LogScale {
  /** The pixels at its end. */
  top: number;
  place: (pixels: number) => number;
}

/** A scale for the fields of some layers and the image. */
export function scaleFor(layers: readonly LayerRow[], image: readonly number[]): LogScale {
  const lengths = layers.map((row) => lengthOf(row, image)).filter(Number.isFinite);
  const top = Math.max(2, Math.min(...image), ...lengths) * HEADROOM;
  return { top, place: (pixels) => Math.min(1, Math.log(Math.max(pixels, 1)) / Math.log(top)) };
}

/** Length that stands for a field: in proportion to the shorter side of the image as the field is to the image. */
export function lengthOf(row: LayerRow, image: readonly number[]): number {
  return row.field ? ratioOf(row, image) * Math.min(...image) : Number.NaN;
}

function isBeyond(row: LayerRow, image: readonly number[]): boolean {
  return row.field !== null && ratioOf(row, image) > 1;
}

function strideOf({ field, size }: LayerRow): string {
  if (!field) return "";
  const strides = axesOf(field)
    .slice(0, size.length)
    .map(({ pixels, cells }) => formatNumber(pixels / cells));
  return `stride ${new Set(strides).size === 1 ? strides[0] : strides.join(" \u00d7 ")}`;
}

/** The nested model that a layer is in. */
function blockOf({ name }: LayerRow): string {
  return name.split("/").slice(0, -1).join("/");
}

/** Round numbers on the axis: 1 and some powers of two. */
export function ticksFor({ top }: LogScale): number[] {
  const powers = Math.floor(Math.log2(top));
  const every = Math.max(1, Math.ceil(powers / (LINES - 1)));
  return Array.from({ length: Math.floor(powers / every) + 1 }, (_, k) => 2 ** (k * every));
}

function gridlines(scale: LogScale, image: readonly number[], { thing }: StripWords): HTMLElement[] {
  const line = (pixels: number, words: string, kind: string) => {
    const made = html("div", `rfwidget-gridline ${kind}`, {}, [html("span", "", {}, [words])]);
    made.style.bottom = `${100 * scale.place(pixels)}%`;
    return made;
  };
  const side = Math.min(...image);
  const same = image.every((length) => length === side);
  // Of three lengths there is room for the one that the line stands for.
  const all = image.length < 3 ? image.join("\u00d7") : `${"xyz"[image.indexOf(side)]} ${side}`;
  const name = `${thing.toLowerCase()} ${same ? side : all}`;
  return [...ticksFor(scale).map((tick) => line(tick, `${tick}`, "")), line(side, name, "rfwidget-image-line")];
}

/** Brackets under runs of bars that have the same words. */
function brackets(words: readonly string[], count: number, row: number): HTMLElement[] {
  const found: { words: string; start: number; end: number }[] = [];
  words.forEach((word, index) => {
    const last = found.at(-1);
    if (last?.words === word) last.end = index + 1;
    else found.push({ words: word, start: index, end: index + 1 });
  });
  return found
    .filter(({ words }) => words)
    .map(({ words, start, end }) => {
      const made = html("div", "rfwidget-bracket", { title: words }, [html("span", "", {}, [words])]);
      Object.assign(made.style, { left: `${(100 * start) / count}%`, width: `${(100 * (end - start)) / count}%` });
      made.style.top = `${18 * row}px`;
      return made;
    });
}

function bar(row: LayerRow, index: number, image: readonly number[], scale: LogScale, words: StripWords): HTMLElement {
  const ratio = row.field ? ratioOf(row, image) : 0;
  const fill = html("div", "rfwidget-fill");
  fill.style.height = row.field && ratio < Infinity ? `${100 * scale.place(lengthOf(row, image))}%` : "100%";
  const high = fill.style.height;
  const kinds = [
    row.field ? "" : "rfwidget-unknown",
    ratio === Infinity ? "rfwidget-unbounded" : "",
    (ratio > 1 && ratio < Infinity) || row.unproductive ? "rfwidget-idle" : "",
    row.uniform ? "" : "rfwidget-uneven",
  ];
  const label = inWords(row, image, words);
  const attributes = { role: "option", "aria-label": label, title: label, "data-index": index };
  const made = html("div", ["rfwidget-bar", ...kinds].filter(Boolean).join(" "), attributes, [fill]);
  made.style.setProperty("--rfwidget-high", high);
  return made;
}

function indexOf(target: EventTarget | null | undefined): number | null {
  const bar = target instanceof Element ? target.closest("[data-index]") : null;
  return bar ? Number(bar.getAttribute("data-index")) : null;
}
