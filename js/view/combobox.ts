/**
 * A field that searches a list: it shows the chosen entry, and while it has the focus the entries that hold what is typed.
 *
 * A native list cannot be searched by parts of names, and deep networks have hundreds of layers.
 */

import { assign, html, say, toggle } from "./dom.js";

/** An entry: its name, and what stands behind it. */
export interface Entry {
  name: string;
  note: string;
}

let count = 0;

export class Combobox {
  readonly element: HTMLElement;
  readonly #id = `rfwidget-list-${++count}`;
  readonly #field: HTMLInputElement;
  readonly #note = html("span", "rfwidget-combo-note", { "aria-hidden": "true" });
  readonly #list: HTMLElement;
  readonly #none = html("div", "rfwidget-combo-none", { role: "status" });
  readonly #box: HTMLElement;
  readonly #choose: (name: string) => void;
  #entries: readonly Entry[] = [];
  #chosen = "";
  #shown: readonly Entry[] = [];
  #active = 0;

  constructor(label: string, choose: (name: string) => void, signal: AbortSignal) {
    this.#choose = choose;
    this.#list = html("ul", "rfwidget-combo-list", { role: "listbox", id: this.#id, "aria-label": `${label}s` });
    this.#box = html("div", "rfwidget-combo-box", {}, [this.#list, this.#none]);
    this.#box.hidden = true;
    this.#field = html("input", "rfwidget-combo-field", {
      ...{ type: "text", role: "combobox", "aria-label": label, "aria-autocomplete": "list", "aria-expanded": "false" },
      ...{ "aria-controls": this.#id, autocomplete: "off", spellcheck: "false" },
    });
    this.element = html("div", "rfwidget-combo", {}, [this.#field, this.#note, this.#box]);
    this.#field.addEventListener("focus", () => this.#open(""), { signal });
    this.#field.addEventListener("click", () => this.#box.hidden && this.#open(""), { signal });
    this.#field.addEventListener("input", () => this.#open(this.#field.value), { signal });
    this.#field.addEventListener("blur", () => this.#close(), { signal });
    // Pressing must not take the focus away, which would close the list before the click.
    this.#box.addEventListener("pointerdown", (event) => event.preventDefault(), { signal });
    this.#box.addEventListener("mousedown", (event) => event.preventDefault(), { signal });
    this.#list.addEventListener("click", (event) => this.#pick(indexOf(event.target)), { signal });
  }

  show(entries: readonly Entry[], chosen: string): void {
    const changed = entries !== this.#entries;
    this.#entries = entries;
    this.#chosen = chosen;
    if (this.#box.hidden) this.#rest();
    else if (changed) this.#open(this.#field.value === chosen ? "" : this.#field.value);
  }

  /** A key pressed in the field. */
  key(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    if (step) {
      event.preventDefault();
      if (this.#box.hidden) this.#open("");
      else this.#activate(Math.max(0, Math.min(this.#shown.length - 1, this.#active + step)));
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (!this.#box.hidden) this.#pick(this.#active);
    } else if (event.key === "Escape") {
      event.preventDefault();
      if (this.#box.hidden) this.#field.blur();
      else this.#close();
    }
  }

  owns(target: EventTarget | undefined): boolean {
    return target === this.#field;
  }

  #open(wanted: string): void {
    const words = wanted.trim().toLowerCase();
    this.#shown = this.#entries.filter(({ name }) => name.toLowerCase().includes(words));
    this.#list.replaceChildren(
      ...this.#shown.map(({ name, note }, index) =>
        html("li", "", { role: "option", id: `${this.#id}-${index}`, "data-index": index }, [
          html("span", "", {}, [name]),
          html("span", "rfwidget-combo-note", {}, [note]),
        ]),
      ),
    );
    if (!words) this.#field.select();
    this.#list.hidden = this.#shown.length === 0;
    this.#none.hidden = this.#shown.length > 0;
    say(this.#none, this.#shown.length ? "" : `no match among ${this.#entries.length} layers`);
    this.#box.hidden = false;
    assign(this.#field, { "aria-expanded": "true" });
    const current = this.#shown.findIndex(({ name }) => name === this.#chosen);
    this.#activate(Math.max(current, 0));
  }

  #activate(index: number): void {
    this.#active = index;
    [...this.#list.children].forEach((item, k) => {
      assign(item, { "aria-selected": `${k === index}` });
    });
    const item = this.#list.children[index];
    toggle(this.#field, "aria-activedescendant", item?.id ?? null);
    // Not by scrollIntoView, which would scroll the page as well.
    if (item instanceof HTMLElement) {
      const { offsetTop, offsetHeight } = item;
      const { scrollTop, clientHeight } = this.#box;
      if (offsetTop < scrollTop) this.#box.scrollTop = offsetTop;
      else if (offsetTop + offsetHeight > scrollTop + clientHeight) {
        this.#box.scrollTop = offsetTop + offsetHeight - clientHeight;
      }
    }
  }

  #pick(index: number | null): void {
    const entry = index === null ? undefined : this.#shown[index];
    if (!entry) return;
    this.#close();
    this.#field.value = entry.name;
    this.#choose(entry.name);
  }

  #close(): void {
    this.#box.hidden = true;
    assign(this.#field, { "aria-expanded": "false" });
    toggle(this.#field, "aria-activedescendant", null);
    this.#rest();
  }

  #rest(): void {
    this.#field.value = this.#chosen;
    assign(this.#field, { title: this.#chosen });
    say(this.#note, this.#entries.find(({ name }) => name === this.#chosen)?.note ?? "");
  }
}

function indexOf(target: EventTarget | null): number | null {
  const item = target instanceof Element ? target.closest("[data-index]") : null;
  return item ? Number(item.getAttribute("data-index")) : null;
}
