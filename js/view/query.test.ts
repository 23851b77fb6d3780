import { describe, expect, it, vi } from "vitest";
import type { Box, Field, LayerRow } from "../protocol.js";
import { WORDS } from "../testing.js";
import { answerInWords, firstCovering, remembering } from "./query.js";

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

describe("an answer in words", () => {
  const cells = (count: number) => [Array.from({ length: count }, (_, k) => k), [5]];

  it("counts the cells that see a pixel", () => {
    expect(answerInWords([4, 9, 5, 10], cells(17), "mix", [], 2, WORDS)).toBe("17 cells of layer mix see pixel (4, 9)");
    expect(answerInWords([4, 9, 5, 10], cells(1), "mix", [], 2, WORDS)).toBe("1 cell of layer mix sees pixel (4, 9)");
    expect(answerInWords([4, 9, 5, 10], cells(0), "mix", [], 2, WORDS)).toBe("no cell of layer mix sees pixel (4, 9)");
  });

  it("names the first layer that sees all of a box, if there is one", () => {
    const box: Box = [0, 0, 80, 20];
    const layers = [row("unknown", null), row("small", FIELD), row("large", UNBOUNDED)];
    const what = "no cell of layer mix sees all of the box x 0 to 80, y 0 to 20";
    expect(firstCovering(layers, box)).toBe("large");
    expect(answerInWords(box, cells(0), "mix", layers, 2, WORDS)).toBe(`${what}; first layer with such a cell: large`);
    expect(answerInWords(box, cells(0), "mix", layers.slice(0, 2), 2, WORDS)).toBe(`${what}; no layer has such a cell`);
    expect(answerInWords(box, cells(0), "mix", [], 2, WORDS)).toBe(what);
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
