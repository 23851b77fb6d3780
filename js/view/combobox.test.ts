// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Combobox } from "./combobox.js";

const ENTRIES = [
  { name: "conv1", note: "96 \u00d7 96" },
  { name: "block/conv2", note: "48 \u00d7 48" },
  { name: "<img onerror=alert(1)>", note: "" },
];
const choose = vi.fn();
let life: AbortController;
let box: Combobox;

const field = () => box.element.querySelector("input") as HTMLInputElement;
const shown = () => [...box.element.querySelectorAll("li")].map((item) => item.firstElementChild?.textContent);
const press = (key: string) => box.key(new KeyboardEvent("keydown", { key, cancelable: true }));
const type = (words: string) => {
  field().value = words;
  field().dispatchEvent(new Event("input"));
};

beforeEach(() => {
  vi.clearAllMocks();
  life = new AbortController();
  box = new Combobox("Layer", choose, life.signal);
  document.body.append(box.element);
  box.show(ENTRIES, "conv1");
});

afterEach(() => {
  life.abort();
  box.element.remove();
});

it("at rest it shows the chosen entry and its note, and no list", () => {
  expect(field().value).toBe("conv1");
  expect(box.element.querySelector<HTMLElement>(".rfwidget-combo-box")?.hidden).toBe(true);
  expect(box.element.querySelector(".rfwidget-combo-note")?.textContent).toBe("96 \u00d7 96");
});

it("with the focus it lists all entries as text, and what is typed narrows them down", () => {
  field().focus();
  expect(shown()).toEqual(ENTRIES.map(({ name }) => name));
  expect(box.element.querySelector("img")).toBeNull();
  expect(field().getAttribute("aria-expanded")).toBe("true");
  type("CONV");
  expect(shown()).toEqual(["conv1", "block/conv2"]);
});

it("says when nothing matches", () => {
  field().focus();
  type("zzz");
  expect(shown()).toEqual([]);
  expect(box.element.querySelector(".rfwidget-combo-none")?.textContent).toBe("no match among 3 layers");
  press("Enter");
  expect(choose).not.toHaveBeenCalled();
});

it("chooses by keys, and by a click", () => {
  field().focus();
  press("ArrowDown");
  press("Enter");
  expect(choose).toHaveBeenLastCalledWith("block/conv2");
  type("img");
  box.element.querySelector("li")?.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  expect(choose).toHaveBeenLastCalledWith("<img onerror=alert(1)>");
});

it("Escape gives the search up and shows the chosen entry again", () => {
  field().focus();
  type("bl");
  press("Escape");
  expect(field().value).toBe("conv1");
  expect(choose).not.toHaveBeenCalled();
});
