// @vitest-environment happy-dom
import { expect, it } from "vitest";
import { placeAt } from "../testing.js";
import { panned, trackZoom, WHOLE, zoomed } from "./zoom.js";

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

it("what two fingers hold stays under them while they spread and move", () => {
  const element = document.createElement("div");
  placeAt(element, 100, 50, VIEW.width, VIEW.height);
  let zoom = WHOLE;
  const options = {
    zoom: (by: number, at: readonly [number, number]) => (zoom = zoomed(zoom, by, at, VIEW)),
    pan: (dx: number, dy: number) => (zoom = panned(zoom, dx, dy, VIEW)),
    whole: () => {},
  };
  const life = new AbortController();
  trackZoom(element, options, life.signal);
  const finger = (kind: string, pointerId: number, x: number, y: number) =>
    element.dispatchEvent(
      new PointerEvent(kind, { pointerId, pointerType: "touch", clientX: 100 + x, clientY: 50 + y }),
    );
  finger("pointerdown", 1, 150, 120);
  finger("pointerdown", 2, 190, 120);
  finger("pointermove", 2, 190, 120);
  for (let k = 1; k <= 10; k++) {
    finger("pointermove", 1, 150 - 5 * k, 120 + 2 * k);
    finger("pointermove", 2, 190 + 3 * k, 120 + 2 * k);
  }
  expect(zoom.factor).toBeCloseTo(3); // 40 to 120 pixels apart
  expect(seen(zoom, [100, 140])).toEqual([expect.closeTo(150, 0), expect.closeTo(120, 0)]);
  expect(seen(zoom, [220, 140])).toEqual([expect.closeTo(190, 0), expect.closeTo(120, 0)]);
  finger("pointerup", 2, 220, 140);
  const left = zoom;
  finger("pointermove", 1, 10, 10);
  expect(zoom).toEqual(left);
  life.abort();
});
