// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Cell } from "../protocol.js";
import { placeAt } from "../testing.js";
import { trackPointer } from "./pointer.js";

let element: HTMLElement;
let life: AbortController;
let frames: (() => void)[];
const press = vi.fn();
const scrub = vi.fn();
const hover = vi.fn();

/** The middle of a tile, in an element at (100, 50) that shows 32 x 16 tiles of 15 x 18 pixels. */
const at = ([x, y]: Cell) => ({ clientX: 100 + 15 * (x + 0.5), clientY: 50 + 18 * (y + 0.5) });
const pointer = (type: string, cell: Cell, more: PointerEventInit = {}) => {
  const init = { isPrimary: true, pointerId: 1, pointerType: "mouse", cancelable: true, ...at(cell), ...more };
  const event = new PointerEvent(type, init);
  element.dispatchEvent(event);
  return event;
};

beforeEach(() => {
  vi.clearAllMocks();
  frames = [];
  vi.stubGlobal("requestAnimationFrame", (frame: () => void) => frames.push(frame));
  vi.stubGlobal("cancelAnimationFrame", (id: number) => frames.splice(id - 1, 1));
  life = new AbortController();
  element = document.createElement("div");
  element.tabIndex = 0;
  element.setPointerCapture = vi.fn();
  document.body.append(element);
  placeAt(element, 100, 50, 32 * 15, 16 * 18);
  const cellAt = ([x, y]: readonly [number, number]): Cell => [Math.floor(x * 32), Math.floor(y * 16)];
  trackPointer(element, { cellAt, hover, press, scrub }, life.signal);
});

afterEach(() => {
  life.abort();
  element.remove();
});

describe("a mouse", () => {
  it("presses at once, and the same cell again on the next press", () => {
    for (let k = 0; k < 2; k++) {
      expect(pointer("pointerdown", [20, 5]).defaultPrevented).toBe(true);
      pointer("pointerup", [20, 5]);
    }
    expect(press.mock.calls).toEqual([[[20, 5]], [[20, 5]]]);
    expect(document.activeElement).toBe(element);
  });

  it("scrubs while pressed, once per cell, also beyond the border", () => {
    pointer("pointerdown", [20, 5]);
    for (const cell of [
      [20.2, 5],
      [21, 5],
      [21.2, 5],
      [40, 6],
    ] as Cell[])
      pointer("pointermove", cell);
    pointer("pointerup", [40, 6]);
    pointer("pointermove", [3, 3]);
    expect(scrub.mock.calls).toEqual([[[21, 5]], [[40, 6]]]);
    expect(element.setPointerCapture).toHaveBeenCalledWith(1);
  });

  it("hovers once per frame, and over none when it has left", () => {
    for (let x = 0; x < 9; x++) pointer("pointermove", [x, 3]);
    expect(frames.length).toBe(1);
    frames.pop()?.();
    expect(hover).toHaveBeenLastCalledWith([8, 3]);
    pointer("pointerleave", [8, 3]);
    frames.pop()?.();
    expect(hover).toHaveBeenLastCalledWith(null);
  });

  it("asks once a frame where the element is: the page is laid out anew for every answer", () => {
    const timeline = { currentTime: 16 };
    Object.defineProperty(document, "timeline", { value: timeline, configurable: true });
    const asked = vi.spyOn(element, "getBoundingClientRect");
    pointer("pointerdown", [20, 5]);
    pointer("pointermove", [21, 5]);
    frames.pop()?.();
    expect(asked).toHaveBeenCalledTimes(1);
    timeline.currentTime = 33;
    placeAt(element, 100 + 15, 50, 32 * 15, 16 * 18); // the page has scrolled
    pointer("pointermove", [24, 5]);
    Reflect.deleteProperty(document, "timeline");
    expect(scrub.mock.calls).toEqual([[[21, 5]], [[23, 5]]]);
  });

  it("that loses its capture no longer scrubs", () => {
    pointer("pointerdown", [20, 5]);
    pointer("lostpointercapture", [20, 5]);
    pointer("pointermove", [22, 5]);
    expect(scrub).not.toHaveBeenCalled();
  });

  it.each([
    ["another button", { button: 2 }],
    ["Shift", { shiftKey: true }],
    ["Ctrl", { ctrlKey: true }],
    ["a second finger", { isPrimary: false }],
  ])("with %s does nothing", (_, more) => {
    expect(pointer("pointerdown", [20, 5], more).defaultPrevented).toBe(false);
    pointer("pointermove", [22, 5], more);
    expect([...press.mock.calls, ...scrub.mock.calls]).toEqual([]);
  });

  it("does nothing on an element that has no size yet", () => {
    placeAt(element, 0, 0, 0, 0);
    pointer("pointerdown", [0, 0]);
    expect(press).not.toHaveBeenCalled();
  });

  it("is heard no more after the end, nor a frame that was due", () => {
    pointer("pointermove", [3, 3]);
    life.abort();
    expect(frames.length).toBe(0);
    pointer("pointerdown", [3, 3]);
    expect(press).not.toHaveBeenCalled();
  });
});

describe("a finger", () => {
  const touch = { pointerType: "touch" };

  it("selects by a tap, when it is lifted, and may stray a little", () => {
    expect(pointer("pointerdown", [20, 5], touch).defaultPrevented).toBe(false);
    pointer("pointermove", [20.2, 5.2], touch);
    expect(press).not.toHaveBeenCalled();
    pointer("pointerup", [20.2, 5.2], touch);
    expect([press.mock.calls, scrub.mock.calls]).toEqual([[[[20, 5]]], []]);
  });

  it("scrubs by moving sideways, then in any direction, and selects no more when it is lifted", () => {
    pointer("pointerdown", [20, 5], touch);
    pointer("pointermove", [22, 5], touch);
    pointer("pointermove", [22, 9], touch);
    pointer("pointerup", [22, 9], touch);
    expect([press.mock.calls, scrub.mock.calls]).toEqual([[], [[[22, 5]], [[22, 9]]]]);
  });

  it("that scrolls the page selects nothing, neither before the browser takes over nor after", () => {
    pointer("pointerdown", [20, 5], touch);
    pointer("pointermove", [20, 6], touch);
    pointer("pointercancel", [20, 6], touch);
    pointer("pointermove", [24, 9], touch);
    pointer("pointerup", [20, 9], touch);
    expect([...press.mock.calls, ...scrub.mock.calls]).toEqual([]);
  });

  it("joined by another one, to zoom, neither scrubs nor selects", () => {
    pointer("pointerdown", [20, 5], touch);
    pointer("pointerdown", [25, 5], { ...touch, isPrimary: false, pointerId: 2 });
    pointer("pointermove", [10, 5], touch);
    pointer("pointerup", [10, 5], touch);
    expect([...press.mock.calls, ...scrub.mock.calls]).toEqual([]);
  });

  it("that is lifted far up from where it was put down selects nothing", () => {
    pointer("pointerdown", [20, 5], touch);
    pointer("pointerup", [20, 9], touch);
    expect(press).not.toHaveBeenCalled();
  });
});
