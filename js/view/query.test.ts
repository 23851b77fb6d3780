// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { rectOf } from "../geometry.js";
import type { Box, Field, LayerRow } from "../protocol.js";
import { placeAt } from "../testing.js";
import { answerInWords, boxBetween, countOf, covering, firstCovering, remembering, runs, trackBox } from "./query.js";

const FIELD: Field = {
  x: { cells: 1, pixels: 4, edges: [[-10, 24]] },
  y: {
    cells: 2,
    pixels: 10,
    edges: [
      [-5, 28],
      [3, 20],
    ],
  },
};
const UNBOUNDED: Field = { x: { cells: 1, pixels: 4, edges: null }, y: FIELD.y };
const row = (name: string, field: Field | null): LayerRow => ({
  ...{ name, field, grid: [32, 16], size: [34, 33], uniform: true },
});

describe("the cells around a box", () => {
  it.each([[[0, 0, 1, 1]], [[40, 30, 41, 31]], [[40, 30, 60, 45]], [[3, 3, 4, 60]], [[0, 0, 160, 96]]] as [Box][])(
    "%o are those whose rectangles hold it",
    (box) => {
      const { columns, rows } = covering(FIELD, [32, 16], box);
      for (let x = 0; x < 32; x++) {
        for (let y = 0; y < 16; y++) {
          const [left, top, right, bottom] = rectOf(FIELD, [x, y]);
          const holds = left <= box[0] && top <= box[1] && right >= box[2] && bottom >= box[3];
          expect(columns.includes(x) && rows.includes(y)).toBe(holds);
        }
      }
    },
  );

  it("are all columns along an unbounded axis", () =>
    expect(covering(UNBOUNDED, [32, 16], [3, 3, 160, 4]).columns.length).toBe(32));

  it("do not include one that sees only padding", () => {
    const field: Field = { ...FIELD, x: { cells: 1, pixels: 4, edges: [[0, 0]] } };
    expect(countOf(covering(field, [32, 16], [0, 0, 1, 1]))).toBe(0);
  });
});

it("runs of neighbours", () => {
  expect(runs([])).toEqual([]);
  expect(runs([2, 3, 4, 7, 9, 10])).toEqual([
    [2, 5],
    [7, 8],
    [9, 11],
  ]);
});

describe("an answer in words", () => {
  const cells = (count: number) => ({ columns: Array.from({ length: count }, (_, k) => k), rows: [5] });

  it("counts the cells that see a pixel", () => {
    expect(answerInWords([4, 9, 5, 10], cells(17), "mix", [])).toBe("17 cells of layer mix see pixel (4, 9)");
    expect(answerInWords([4, 9, 5, 10], cells(1), "mix", [])).toBe("1 cell of layer mix sees pixel (4, 9)");
    expect(answerInWords([4, 9, 5, 10], cells(0), "mix", [])).toBe("no cell of layer mix sees pixel (4, 9)");
  });

  it("names the first layer that sees all of a box, if there is one", () => {
    const box: Box = [0, 0, 80, 20];
    const layers = [row("unknown", null), row("small", FIELD), row("large", UNBOUNDED)];
    const what = "no cell of layer mix sees all of the box x 0 to 80, y 0 to 20";
    expect(firstCovering(layers, box)).toBe("large");
    expect(answerInWords(box, cells(0), "mix", layers)).toBe(`${what}; first layer with such a cell: large`);
    expect(answerInWords(box, cells(0), "mix", layers.slice(0, 2))).toBe(`${what}; no layer has such a cell`);
    expect(answerInWords(box, cells(0), "mix", [])).toBe(what);
  });
});

describe("a box between two points", () => {
  it("is made of whole pixels, whatever the direction", () => {
    expect(boxBetween([3.2, 9.9], [7.1, 2.5], [160, 96])).toEqual([3, 2, 8, 10]);
    expect(boxBetween([7.1, 2.5], [3.2, 9.9], [160, 96])).toEqual([3, 2, 8, 10]);
  });

  it("holds at least one pixel, inside the image", () => {
    expect(boxBetween([3.2, 9.9], [3.2, 9.9], [160, 96])).toEqual([3, 9, 4, 10]);
    expect(boxBetween([-5, 200], [-9, 300], [160, 96])).toEqual([0, 95, 1, 96]);
    expect(boxBetween([160, 96], [160, 96], [160, 96])).toEqual([159, 95, 160, 96]);
  });
});

it("a function that remembers computes anew only for other arguments", () => {
  const compute = vi.fn((a: object, b: number) => [a, b]);
  const remembered = remembering(compute);
  const key = {};
  expect(remembered(key, 1)).toBe(remembered(key, 1));
  remembered({}, 1);
  remembered({}, 2);
  expect(compute).toHaveBeenCalledTimes(3);
});

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
    trackBox(element, { asks, image: () => [160, 96], draft, done }, life.signal);
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
