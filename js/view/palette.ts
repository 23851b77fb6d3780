/** The bytes of heat maps in colours: the table comes from rfwidget/widget/heat.py, which makes the saved pictures too. */

import { bytesOf, type LevelMap, type Palette, type Tick } from "../protocol.js";
import { short } from "./colour-bar.js";

/** The byte of a response of zero, and how far the bytes of the strongest are from it. */
const ZERO = 128;
const MOST = 127;

/** A map's pixels, straight alpha. */
export function coloured(map: Pick<LevelMap, "levels" | "weight">, palette: Palette): Uint8ClampedArray<ArrayBuffer> {
  const colours = new Uint32Array(bytesOf(palette.rgba).slice().buffer);
  const moved = palette.ranked ? shares(map) : null;
  const table = moved ? Uint32Array.from(moved, (byte) => colours[byte] ?? 0) : colours;
  const pixels = new Uint32Array(map.levels.length);
  map.levels.forEach((byte, k) => {
    pixels[k] = table[byte] ?? 0;
  });
  return new Uint8ClampedArray(pixels.buffer);
}

/** For each byte of a map the one as far from 128 as the share of the mass in pixels no stronger. */
export function shares({ levels, weight }: Pick<LevelMap, "levels" | "weight">): Uint8Array {
  const counts = new Array<number>(MOST + 1).fill(0);
  for (const byte of levels) {
    if (byte) counts[Math.abs(byte - ZERO)] = (counts[Math.abs(byte - ZERO)] ?? 0) + 1;
  }
  const moved = new Uint8Array(256);
  let sum = 0;
  counts.forEach((count, strength) => {
    sum += count * (strength / MOST) ** 2;
    // What is cut off at the full value is counted in the weight alone.
    const share = strength === MOST ? 1 : Math.min(sum / (weight || 1), 1);
    const by = Math.floor(MOST * share + 0.5);
    moved[ZERO - strength] = ZERO - (strength && by);
    moved[ZERO + strength] = ZERO + (strength && by);
  });
  return moved;
}

/** The marks on the colour bar of a map whose full value is this. */
export function ticksOn(palette: Palette | null, full: number): Tick[] {
  if (!palette || !full) return [];
  return palette.ticks.map(([place, part]) => [place, typeof part === "string" ? part : short(part * full)]);
}
