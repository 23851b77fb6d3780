/** The sheet with mouse, keys and colours. */

import type { Words } from "../protocol.js";
import { button, heading, html, show } from "./dom.js";

export class HelpSheet {
  readonly element: HTMLElement;
  readonly #close: HTMLButtonElement;
  #before: Element | null = null;

  constructor(parts: Words["help"]) {
    this.#close = button("rfwidget-button", "\u2715", { "aria-label": "Close help" });
    this.#close.addEventListener("click", () => this.toggle(false));
    const head = html("div", "rfwidget-head", {}, [heading("Mouse, keys and colours"), this.#close]);
    const body = html(
      "div",
      "rfwidget-help-body",
      {},
      parts.map((part) => table(...part)),
    );
    this.element = html("div", "rfwidget-help", { role: "dialog", "aria-label": "Help" }, [head, body]);
    this.element.hidden = true;
  }

  toggle(open = this.element.hidden === true): void {
    if (open === !this.element.hidden) return;
    show(this.element, open);
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
    html("div", "rfwidget-help-row", {}, [html("b", "", {}, [what]), html("span", "", {}, [does])]),
  );
  return html("div", "rfwidget-help-part", {}, [html("div", "rfwidget-title", {}, [title]), ...lines]);
}
