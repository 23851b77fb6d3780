import { expect, it, describe as suite } from "vitest";
import shared from "../tests/geometry.json";
import {
  boxBetween,
  cellAt,
  cellAtFraction,
  cellsIn,
  centreAt,
  centreOf,
  clamp,
  countOf,
  covering,
  describe,
  edgesAt,
  middleOf,
  moved,
  nearest,
  rectOf,
  sameCell,
} from "./geometry.js";
import type { AxisField, Box, Cell, Field } from "./protocol.js";

const plain: AxisField = { cells: 1, pixels: 4, edges: [[0, 34]] };
const padded: AxisField = { cells: 1, pixels: 2, edges: [[-3, 4]] };
// Every three cells move by eight pixels, and no two neighbours by the same.
const uneven: AxisField = {
  cells: 3,
  pixels: 8,
  edges: [
    [0, 5],
    [2, 9],
    [5, 10],
  ],
};
const unbounded: AxisField = { cells: 1, pixels: 16, edges: null };
const phased: Field = {
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

suite("edges of a receptive field", () => {
  it("move by the stride from cell to cell", () => {
    for (const cell of [0, 1, 8, 15]) expect(edgesAt(plain, cell)).toEqual([4 * cell, 4 * cell + 34]);
  });

  it("may lie before the image", () => expect(edgesAt(padded, 1)).toEqual([-1, 6]));

  it("repeat after one period where the field is not uniform", () => {
    for (const cell of [0, 1, 2, 3]) {
      const [low, high] = edgesAt(uneven, cell);
      expect(edgesAt(uneven, cell + 6)).toEqual([low + 16, high + 16]);
    }
  });

  it("are infinite along an unbounded axis", () => expect(edgesAt(unbounded, 3)).toEqual([-Infinity, Infinity]));

  it("stand x before y in a rectangle", () => {
    expect(rectOf({ x: plain, y: padded }, [2, 5])).toEqual([8, 7, 42, 14]);
    expect(rectOf({ x: unbounded, y: plain }, [2, 5])).toEqual([-Infinity, 20, Infinity, 54]);
  });
});

suite("the cell under a point", () => {
  const axes: [string, AxisField, number][] = [
    ["plain", plain, 16],
    ["padded", padded, 48],
    ["uneven", uneven, 17],
    ["unbounded", unbounded, 5],
  ];

  it.each(axes)("is the cell whose centre lies there (%s)", (_, axis, count) => {
    for (let cell = 0; cell < count; cell++) expect(nearest(axis, centreAt(axis, cell), count)).toBe(cell);
  });

  it.each(axes)("is as near as any other (%s)", (_, axis, count) => {
    for (let at = -20; at < 120; at += 0.75) {
      const found = Math.abs(at - centreAt(axis, nearest(axis, at, count)));
      const all = Array.from({ length: count }, (_, cell) => Math.abs(at - centreAt(axis, cell)));
      expect(found).toBe(Math.min(...all));
    }
  });

  it.each(shared)("is where Python has it ($name)", ({ axis, centres, nearest: asked }) => {
    const field = axis as AxisField;
    expect(centres.map((_, cell) => centreAt(field, cell))).toEqual(centres);
    for (const [at = 0, cell] of asked) expect(nearest(field, at, centres.length)).toBe(cell);
  });

  it("stays in the grid far outside the image", () => {
    expect(nearest(plain, -1e6, 16)).toBe(0);
    expect(nearest(plain, 1e6, 16)).toBe(15);
    expect(nearest(uneven, 1e6, 17)).toBe(16);
  });

  it("takes x and y for themselves", () => {
    const field: Field = { x: plain, y: padded };
    expect(cellAt(field, [32, 48], [17 + 4 * 30, 0.5 + 2 * 7])).toEqual([30, 7]);
    expect(centreOf(field, [30, 7])).toEqual([137, 14.5]);
  });

  it("of a picture of the grid is the tile that holds it", () => {
    expect(cellAtFraction([32, 16], [0, 0])).toEqual([0, 0]);
    expect(cellAtFraction([32, 16], [0.999, 0.999])).toEqual([31, 15]);
    expect(cellAtFraction([32, 16], [1, -0.1])).toEqual([31, 0]);
    expect(cellAtFraction([32, 16], [0.5, 0.5])).toEqual([16, 8]);
  });
});

suite("cells", () => {
  it("move within the grid only", () => {
    const grid: Cell = [32, 16];
    expect(moved([30, 8], [5, 0], grid)).toEqual([31, 8]);
    expect(moved([30, 8], [0, -9], grid)).toEqual([30, 0]);
  });

  it("have a middle, and are so many", () => {
    expect(middleOf([32, 15])).toEqual([16, 7]);
    expect(middleOf([32, 15, 4])).toEqual([16, 7, 2]);
    expect([cellsIn([32, 16]), cellsIn([32, 16, 3]), cellsIn([0, 0])]).toEqual([512, 1536, 0]);
  });

  it("of a volume move along z as well, and are found by three places", () => {
    expect(moved([3, 4, 5], [0, 0, 9], [32, 16, 8])).toEqual([3, 4, 7]);
    const field: Field = { x: plain, y: padded, z: plain };
    expect(cellAt(field, [32, 48, 9], [137, 14.5, 25])).toEqual([30, 7, 2]);
    expect(centreOf(field, [30, 7, 2])).toEqual([137, 14.5, 25]);
    expect(describe([0, 1, 2, 4, 4, 9], 3, "voxels")).toBe("x 0 to 4, y 1 to 4, z 2 to 9, 4 \u00d7 3 \u00d7 7 voxels");
  });

  it("are the same by their numbers", () => {
    expect(sameCell([1, 2], [1, 2])).toBe(true);
    expect(sameCell([1, 2], [2, 1])).toBe(false);
    expect(sameCell([1, 2], null)).toBe(false);
    expect(sameCell(null, null)).toBe(true);
  });
});

suite("a rectangle in words", () => {
  it("tells its place and its size", () =>
    expect(describe([-3, 4, 31, 20.5], 2, "px")).toBe("x \u22123 to 31, y 4 to 20.5, 34 \u00d7 16.5 px"));

  it("says which axis is unbounded", () =>
    expect(describe([-Infinity, 4, Infinity, 38], 2, "px")).toBe("x all, y 4 to 38, \u221e \u00d7 34 px"));

  it("that is empty says so", () => expect(describe([0, 0, 0, 0], 2, "px")).toBe("sees only padding"));
});

it("clamp keeps within both ends", () => expect([-1, 3, 9].map((value) => clamp(value, 0, 5))).toEqual([0, 3, 5]));

suite("the cells around a box", () => {
  it.each([[[0, 0, 1, 1]], [[40, 30, 41, 31]], [[40, 30, 60, 45]], [[3, 3, 4, 60]], [[0, 0, 160, 96]]] as [Box][])(
    "%o are those whose rectangles hold it",
    (box) => {
      const [columns, rows] = covering(phased, [32, 16], box);
      for (let x = 0; x < 32; x++) {
        for (let y = 0; y < 16; y++) {
          const [left, top, right, bottom] = rectOf(phased, [x, y]);
          const holds = left <= box[0] && top <= box[1] && right >= box[2] && bottom >= box[3];
          expect(columns?.includes(x) && rows?.includes(y)).toBe(holds);
        }
      }
    },
  );

  it("are all columns along an unbounded axis", () =>
    expect(covering({ ...phased, x: unbounded }, [32, 16], [3, 3, 160, 4])[0]?.length).toBe(32));

  it("do not include one that sees only padding", () => {
    const field: Field = { ...phased, x: { cells: 1, pixels: 4, edges: [[0, 0]] } };
    expect(countOf(covering(field, [32, 16], [0, 0, 1, 1]))).toBe(0);
  });
});

suite("a box between two points", () => {
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

it("a recurrence sees all up to a place: such an edge moves with the cells, and the other has no end", () => {
  const causal: AxisField = { cells: 1, pixels: 2, edges: [[null, 3]] };
  expect(edgesAt(causal, 5)).toEqual([-Infinity, 13]);
  expect(centreAt(causal, 5)).toBe(11); // of the samples that its stride covers
  expect(describe([-Infinity, 0, 13, 1], 1, "samples")).toBe("all up to 13, \u221e samples");
  expect(describe([4, 0, Infinity, 1], 1, "samples")).toBe("all from 4 on, \u221e samples");
  expect(describe([4, 0, 13, 1], 1, "samples")).toBe("4 to 13, 9 samples");
});
