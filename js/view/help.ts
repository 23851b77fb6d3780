/** The sheet with mouse, keys and colours. */

import { html } from "./dom.js";

const MOUSE = [
  ["hover", "receptive field and gradient map of the nearest cell"],
  ["click, drag", "select that cell: its gradient map is drawn"],
  ["Shift + click or drag", "mark the cells that see a pixel, or all of a box"],
  ["Ctrl + wheel, pinch", "zoom; drag with Alt, the middle button or two fingers to move"],
  ["double click", "the whole image again"],
  ["drop, paste", "look at a picture of your own"],
] as const;

const KEYS = [
  ["\u2190 \u2191 \u2192 \u2193", "next cell, with Shift five further"],
  ["Home, End", "first and last cell"],
  ["Enter", "draw the cell anew"],
  ["q", "which cells see the centre of the selected field?"],
  ["+ \u2212 0", "zoom in, out, whole image"],
  ["Esc, Tab", "end the question, leave"],
] as const;

const COLOURS = [
  ["red, blue, green", "theoretical receptive field of the first, central and last cell"],
  ["white", "field of the selected cell; thin: of the one under the pointer; a cross marks the centre"],
  ["gradient map", "where the cell's output depends on the image, with the model's own weights"],
  ["dashed, fading", "what overhangs the image; arrows tell by how much"],
  ["yellow", "what was asked about, and the layer to compare with"],
  ["pale bars", "layers whose field is larger than the image, or that see no more than those before them"],
] as const;

export class HelpSheet {
  readonly element: HTMLElement;
  readonly #close: HTMLButtonElement;
  #before: Element | null = null;

  constructor() {
    this.#close = html("button", "rfwidget-button", { type: "button", "aria-label": "Close help" }, [
      new Text("\u2715"),
    ]);
    this.#close.addEventListener("click", () => this.toggle(false));
    const head = html("div", "rfwidget-head", {}, [
      html("div", "rfwidget-title", { role: "heading", "aria-level": 2 }, [new Text("Mouse, keys and colours")]),
      this.#close,
    ]);
    const body = html("div", "rfwidget-help-body", {}, [
      table("Mouse", MOUSE),
      table("Keys", KEYS),
      table("Colours", COLOURS),
    ]);
    this.element = html("div", "rfwidget-help", { role: "dialog", "aria-label": "Help" }, [head, body]);
    this.element.hidden = true;
  }

  toggle(open = this.element.hidden === true): void {
    if (open === !this.element.hidden) return;
    this.element.hidden = !open;
    if (open) {
      this.#before = document.activeElement;
      this.#close.focus();
    } else if (this.#before instanceof HTMLElement) this.#before.focus({ preventScroll: true });
  }

  key(event: KeyboardEvent): void {
    if (event.key === "Escape" || event.key === "?") this.toggle(false);
  }
}

function table(title: string, rows: readonly (readonly [string, string])[]): HTMLElement {
  const lines = rows.map(([what, does]) =>
    html("div", "rfwidget-help-row", {}, [html("b", "", {}, [new Text(what)]), html("span", "", {}, [new Text(does)])]),
  );
  return html("div", "rfwidget-help-part", {}, [html("div", "rfwidget-title", {}, [new Text(title)]), ...lines]);
}
