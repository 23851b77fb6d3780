import { expect, it } from "vitest";
import type { Palette } from "../protocol.js";
import { PALETTE } from "../testing.js";
import { coloured, shares, ticksOn } from "./palette.js";

const bytes = (...values: number[]) => Uint8ClampedArray.from(values);

it("gives each byte its colour out of the table, wherever that begins in its buffer", () => {
  const pixels = coloured({ levels: bytes(0, 128, 255), weight: 1 }, PALETTE);
  expect([...pixels]).toEqual([0, 0, 0, 255, 128, 128, 128, 255, 255, 255, 255, 255]);
  const apart = new Uint8Array(1027);
  apart.set(new Uint8Array(PALETTE.rgba.buffer), 3);
  const moved: Palette = { ...PALETTE, rgba: new DataView(apart.buffer, 3) };
  expect([...coloured({ levels: bytes(7), weight: 1 }, moved)]).toEqual([7, 7, 7, 255]);
});

it("by mass, the strongest is at the end, and what holds half of it in the middle, of either sign", () => {
  // A mass of 1 at the root 1, of 1/4 at 1/2, of 1/16 at 1/4: in bytes 127, 63.5 and 31.75 from the zero.
  const map = { levels: bytes(255, 64, 160, 0, 0), weight: 1 + 0.254 + 0.0635 };
  const moved = shares(map);
  expect([moved[0], moved[128], moved[255]]).toEqual([0, 128, 255]);
  expect(moved[64]).toBe(128 - Math.floor((127 * (0.254 + 0.0635)) / map.weight + 0.5));
  expect(moved[160]).toBe(128 + Math.floor((127 * 0.0635) / map.weight + 0.5));
  expect(coloured(map, { ...PALETTE, ranked: true })[4]).toBe(moved[64]);
});

it("ticks are parts of the map's own full value, or words; none where nothing responds", () => {
  const palette: Palette = {
    ...PALETTE,
    ticks: [
      [0, -1],
      [0.5, 0.25],
      [1, "max"],
    ],
  };
  expect(ticksOn(palette, 0.02)).toEqual([
    [0, "\u22120.02"],
    [0.5, "0.005"],
    [1, "max"],
  ]);
  expect(ticksOn(palette, 0)).toEqual([]);
  expect(ticksOn(null, 1)).toEqual([]);
});
