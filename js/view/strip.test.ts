// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { LayerRow } from "../protocol.js";
import { WORDS } from "../testing.js";
import { inWords, LayerStrip, ratioOf, type StripState } from "./strip.js";

const FIELD = {
  x: { cells: 1, pixels: 4, edges: [[-10, 24]] as [number, number][] },
  y: { cells: 2, pixels: 5, edges: null },
};
const row = (name: string, more: Partial<LayerRow> = {}): LayerRow => ({
  ...{ name, field: FIELD, grid: [32, 16], size: [34, 48], uniform: true, ...more },
});
const LAYERS = [
  row("a"),
  row("<b onerror=alert(1)>", { size: [400, 20] }),
  row("c", { size: [34, null] }),
  row("d", { uniform: false }),
  row("e", { field: null, size: [null, null] }),
];
const STATE: StripState = {
  ...{ layers: LAYERS, layer: "a", offered: null, image: [160, 96], words: WORDS, query: null, background: "" },
};

let strip: LayerStrip;
let life: AbortController;
const choose = vi.fn();
const bars = () => [...strip.element.querySelectorAll<HTMLElement>(".rfwidget-bar")];
const bar = (index: number) => bars()[index] ?? document.body;
const caption = () => strip.element.querySelector(".rfwidget-caption")?.textContent;
const chosen = () => bars().findIndex((child) => child.getAttribute("aria-selected") === "true");
const press = (index: number, key: string, more: KeyboardEventInit = {}) => {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more });
  bar(index).dispatchEvent(event);
  return event;
};

beforeEach(() => {
  vi.clearAllMocks();
  life = new AbortController();
  strip = new LayerStrip(choose, life.signal);
  document.body.append(strip.element);
  strip.draw(STATE);
});

afterEach(() => {
  life.abort();
  strip.element.remove();
});

describe("the bars", () => {
  it("are as tall as the logarithms of the fields, against the axis where they are larger", () => {
    const heights = bars().map((child) => Number.parseFloat((child.firstElementChild as HTMLElement).style.height));
    // 48 of 96 pixels, 400 of 160 as 240 of 96; the scale ends a fifth above that.
    const high = (pixels: number) => (100 * Math.log(pixels)) / Math.log(240 * 1.2);
    expect(heights).toEqual(
      [48, 240]
        .map(high)
        .concat(100, high(48), 100)
        .map((height) => expect.closeTo(height, 6)),
    );
  });

  it("tell apart by patterns and shades what is beyond the image, unbounded, uneven or unknown", () => {
    const kinds = bars().map((child) => child.className.replace("rfwidget-bar", "").trim());
    expect(kinds).toEqual(["", "rfwidget-idle", "rfwidget-unbounded", "rfwidget-uneven", "rfwidget-unknown"]);
    strip.draw({ ...STATE, layers: [row("a", { unproductive: true }), row("b")] });
    expect(bars().map((child) => child.className)).toEqual(["rfwidget-bar rfwidget-idle", "rfwidget-bar"]);
  });

  it("stand on an axis with round numbers, with the image as a line that has its name", () => {
    const lines = [...strip.element.querySelectorAll<HTMLElement>(".rfwidget-gridline")];
    expect(lines.map((line) => line.textContent)).toEqual(["1", "8", "64", "image 160\u00d796"]);
    const image = strip.element.querySelector<HTMLElement>(".rfwidget-image-line");
    expect(Number.parseFloat(image?.style.bottom ?? "")).toBeCloseTo((100 * Math.log(96)) / Math.log(288), 6);
    expect(strip.element.textContent).toContain("Receptive field of every layer, in pixels");
  });

  it("have brackets of equal strides, and of the nested models that they are in", () => {
    const field = (pixels: number) => ({ x: { cells: 1, pixels, edges: null }, y: { cells: 1, pixels, edges: null } });
    const names = ["stem", "backbone/a", "backbone/b", "backbone/deep/c"];
    strip.draw({ ...STATE, layers: names.map((name, k) => row(name, { field: field(k < 2 ? 1 : 2) })) });
    const brackets = [...strip.element.querySelectorAll<HTMLElement>(".rfwidget-bracket")];
    expect(brackets.map(({ textContent, style }) => [textContent, style.left, style.width])).toEqual([
      ["stride 1", "0%", "50%"],
      ["stride 2", "50%", "50%"],
      ["backbone", "25%", "50%"],
      ["backbone/deep", "75%", "25%"],
    ]);
  });

  it("have names for those who do not see them, as text", () => {
    expect(bar(1).getAttribute("aria-label")).toContain("<b onerror=alert(1)>: 400 \u00d7 20 px");
    expect(strip.element.querySelector("b")).toBeNull();
    expect([bar(0).getAttribute("role"), bar(0).parentElement?.getAttribute("role")]).toEqual(["option", "listbox"]);
  });

  it("stay the same elements while the layers stay the same", () => {
    const before = bar(2);
    strip.draw({ ...STATE, layer: "c" });
    expect(bar(2)).toBe(before);
    strip.draw({ ...STATE, layers: [...LAYERS] });
    expect(bar(2)).not.toBe(before);
  });

  it("are hidden where there is no choice, and so is the strip if it has nothing to say", () => {
    strip.draw({ ...STATE, layers: LAYERS.slice(0, 1) });
    expect(strip.element.hidden).toBe(true);
    strip.draw({ ...STATE, layers: [], background: "all layers: 30%" });
    expect(strip.element.hidden).toBe(false);
    expect(strip.element.textContent).toContain("all layers: 30%");
  });
});

describe("a layer", () => {
  it("is chosen by a press, and marked at once", () => {
    bar(2).click();
    expect(choose).toHaveBeenCalledWith("c");
    expect(chosen()).toBe(2);
    strip.draw({ ...STATE, background: "busy" }); // the kernel has not followed yet
    expect(chosen()).toBe(2);
    strip.draw({ ...STATE, layer: "d" }); // chosen elsewhere
    expect(chosen()).toBe(3);
  });

  it("is chosen by arrows, Home and End, and takes the focus", () => {
    press(0, "ArrowRight");
    expect(document.activeElement).toBe(bar(1));
    press(1, "End");
    press(4, "ArrowRight");
    press(4, "ArrowLeft");
    press(3, "Home");
    expect(choose.mock.calls.flat()).toEqual(["<b onerror=alert(1)>", "e", "d", "a"]);
  });

  it("is scrolled into sight when it changes, and not while the user looks elsewhere", () => {
    const list = bar(0).parentElement ?? document.body;
    Object.defineProperty(list, "clientWidth", { value: 100 });
    Object.defineProperty(bar(3), "offsetLeft", { value: 400 });
    strip.draw({ ...STATE, layer: "d" });
    expect(list.scrollLeft).toBe(350);
    list.scrollLeft = 10;
    strip.draw({ ...STATE, layer: "d", background: "busy" });
    expect(list.scrollLeft).toBe(10);
  });

  it("is the only one in the tab order", () => {
    expect(bars().map((child) => child.tabIndex)).toEqual([0, -1, -1, -1, -1]);
    bar(2).click();
    expect(bars().map((child) => child.tabIndex)).toEqual([-1, -1, 0, -1, -1]);
  });

  it("that is not offered cannot be chosen, and arrows pass over it", () => {
    strip.draw({ ...STATE, offered: new Set(["a", "d"]) });
    bar(2).click();
    expect(choose).not.toHaveBeenCalled();
    expect(bar(2).getAttribute("aria-disabled")).toBe("true");
    press(0, "ArrowRight");
    expect(choose.mock.calls).toEqual([["d"]]);
    press(3, "ArrowLeft");
    expect(choose).toHaveBeenLastCalledWith("a");
  });
});

describe("a key on a bar", () => {
  it("that is plain never reaches the notebook", () => {
    const notebook = vi.fn();
    document.addEventListener("keydown", notebook, { signal: life.signal, capture: true });
    for (const key of ["b", "ArrowRight", "Escape"]) expect(press(0, key).defaultPrevented).toBe(true);
    expect(notebook).not.toHaveBeenCalled();
  });

  it("with Ctrl, and Tab, reach it", () => {
    for (const [key, ctrlKey] of [
      ["s", true],
      ["Tab", false],
    ] as const)
      expect(press(0, key, { ctrlKey }).defaultPrevented).toBe(false);
  });
});

describe("the caption", () => {
  it("tells of the chosen layer, or of the one under the pointer", () => {
    expect(caption()).toBe("a: 34 \u00d7 48 px, stride 4 \u00d7 2.5, grid 32 \u00d7 16");
    bar(1).dispatchEvent(new PointerEvent("pointermove", { bubbles: true }));
    expect(caption()).toContain("larger than the image");
    bar(1).parentElement?.dispatchEvent(new PointerEvent("pointerleave"));
    expect(caption()).toContain("a: 34");
  });

  it("counts the cells that see what was asked about", () => {
    strip.draw({ ...STATE, query: [0, 0, 1, 1] });
    expect(caption()).toMatch(/; 48 see what is marked$/); // columns 0, 1, 2, all 16 rows
  });
});

it("words tell what is special about a layer", () => {
  const [, , unbounded, uneven, unknown] = LAYERS;
  expect(unbounded && inWords(unbounded, [160, 96], WORDS)).toContain("34 \u00d7 \u221e px");
  expect(unbounded && inWords(unbounded, [160, 96], WORDS)).toContain("grows with the image");
  expect(uneven && inWords(uneven, [160, 96], WORDS)).toContain("differs from cell to cell");
  expect(unknown && inWords(unknown, [160, 96], WORDS)).toBe("e: not measured");
});

it("a ratio is that of the axis where the field is larger against the image", () => {
  expect(ratioOf(row("a", { size: [80, 24] }), [160, 96])).toBe(0.5);
  expect(ratioOf(row("a", { size: [80, 96] }), [160, 96])).toBe(1);
  expect(ratioOf(row("a", { size: [80, null] }), [160, 96])).toBe(Infinity);
});
