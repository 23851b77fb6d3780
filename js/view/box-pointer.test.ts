// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { boxBetween } from "../geometry.js";
import { placeAt } from "../testing.js";
import { trackBox } from "./box-pointer.js";

describe("the pointer with Shift", () => {
  let element: HTMLElement;
  let life: AbortController;
  const draft = vi.fn();
  const done = vi.fn();
  /** Points in pixels of an image of 160 x 96 shown at (100, 50), three times its size. */
  const pointer = (type: string, x: number, y: number, more: PointerEventInit = {}) => {
    const place = { clientX: 100 + 3 * x, clientY: 50 + 3 * y };
    const init = { isPrimary: true, pointerId: 1, shiftKey: true, cancelable: true, ...place, ...more };
    const event = new PointerEvent(type, init);
    element.dispatchEvent(event);
    return event;
  };

  beforeEach(() => {
    vi.clearAllMocks();
    life = new AbortController();
    element = document.createElement("div");
    element.setPointerCapture = vi.fn();
    document.body.append(element);
    placeAt(element, 100, 50, 480, 288);
    const asks = ({ shiftKey, pointerType }: PointerEvent) => shiftKey || pointerType === "touch";
    const inPixels = ([x, y]: readonly [number, number]) => [x * 160, y * 96] as const;
    const between = (from: readonly [number, number], to: readonly [number, number]) =>
      boxBetween(inPixels(from), inPixels(to), [160, 96]);
    trackBox(element, { asks, between, draft, done }, life.signal);
  });

  afterEach(() => {
    life.abort();
    element.remove();
  });

  it("asks for a pixel by a click of a hand that shakes a little", () => {
    expect(pointer("pointerdown", 30.5, 20.5).defaultPrevented).toBe(true);
    pointer("pointermove", 31.2, 20.5);
    pointer("pointerup", 31.2, 20.5);
    expect(done.mock.calls).toEqual([[[30, 20, 31, 21]]]);
  });

  it("asks for a box by a drag, shows it meanwhile, and ends it where it is let go", () => {
    pointer("pointerdown", 30.5, 20.5);
    pointer("pointermove", 40.5, 30.5);
    pointer("pointermove", 25.5, 30.5);
    expect(draft.mock.calls).toEqual([[[30, 20, 31, 21]], [[30, 20, 41, 31]], [[25, 20, 31, 31]]]);
    expect(done).not.toHaveBeenCalled();
    pointer("pointerup", 25.5, 30.5, { shiftKey: false });
    expect(draft).toHaveBeenLastCalledWith(null);
    expect(done.mock.calls).toEqual([[[25, 20, 31, 31]]]);
  });

  it("or a finger, which shakes more, asks for a pixel or a box just so", () => {
    const finger = { shiftKey: false, pointerType: "touch" };
    pointer("pointerdown", 30.5, 20.5, finger);
    pointer("pointerup", 32.5, 18.5, finger);
    pointer("pointerdown", 30.5, 20.5, finger);
    pointer("pointerup", 30.5, 30.5, finger);
    expect(done.mock.calls).toEqual([[[30, 20, 31, 21]], [[30, 20, 31, 31]]]);
  });

  it("that is broken off asks for nothing", () => {
    pointer("pointerdown", 30.5, 20.5);
    pointer("pointercancel", 30.5, 20.5);
    pointer("pointerup", 50.5, 20.5);
    expect(draft).toHaveBeenLastCalledWith(null);
    expect(done).not.toHaveBeenCalled();
  });

  it("that a second finger joins, to zoom, is broken off", () => {
    pointer("pointerdown", 30.5, 20.5);
    pointer("pointerdown", 40.5, 20.5, { isPrimary: false, pointerId: 2 });
    pointer("pointermove", 50.5, 20.5);
    pointer("pointerup", 50.5, 20.5);
    expect(draft).toHaveBeenLastCalledWith(null);
    expect(done).not.toHaveBeenCalled();
  });

  it.each([
    ["no Shift", { shiftKey: false }],
    ["Ctrl as well", { ctrlKey: true }],
    ["another button", { button: 2 }],
    ["a second finger", { isPrimary: false }],
  ])("with %s asks for nothing", (_, more) => {
    expect(pointer("pointerdown", 30.5, 20.5, more).defaultPrevented).toBe(false);
    pointer("pointerup", 50.5, 20.5, more);
    expect([...draft.mock.calls, ...done.mock.calls]).toEqual([]);
  });

  it("is heard no more after the end", () => {
    life.abort();
    pointer("pointerdown", 30.5, 20.5);
    expect(draft).not.toHaveBeenCalled();
  });
});
