import { expect, it } from "vitest";
import { panned, WHOLE, zoomed } from "./zoom.js";

const VIEW = { width: 400, height: 300 };
/** The place of the whole picture that is seen at a place of the view. */
const seen = ({ factor, x, y }: typeof WHOLE, [atX, atY]: [number, number]) => [(x + atX) / factor, (y + atY) / factor];

it("what is under the pointer stays there", () => {
  const at: [number, number] = [130, 220];
  const once = zoomed(WHOLE, 1.7, at, VIEW);
  const twice = zoomed(once, 2.1, at, VIEW);
  for (const zoom of [once, twice]) {
    expect(seen(zoom, at)).toEqual([expect.closeTo(130), expect.closeTo(220)]);
  }
});

it("is never smaller than the whole, and ends somewhere", () => {
  expect(zoomed(WHOLE, 0.3, [10, 10], VIEW)).toEqual(WHOLE);
  expect(zoomed(WHOLE, 1e9, [10, 10], VIEW).factor).toBe(16);
});

it("moves as far as the picture goes", () => {
  const zoom = zoomed(WHOLE, 2, [0, 0], VIEW);
  expect(panned(zoom, -100, -50, VIEW)).toEqual({ factor: 2, x: 100, y: 50 });
  expect(panned(zoom, -1e4, 1e4, VIEW)).toEqual({ factor: 2, x: 400, y: 0 });
});
