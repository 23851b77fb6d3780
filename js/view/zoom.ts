/**
 * Zoom and pan of all that is drawn: a factor, and which corner of the magnified stage is in the corner of the view.
 *
 * Pure functions; lengths in CSS pixels of the view.
 */

import { clamp } from "../geometry.js";
import type { Extent } from "./stage.js";

export interface Zoom {
  factor: number;
  x: number;
  y: number;
}

export const WHOLE: Zoom = { factor: 1, x: 0, y: 0 };
const MOST = 16;

/** Magnified by a factor around a point of the view, which stays where it is. */
export function zoomed({ factor, x, y }: Zoom, by: number, [atX, atY]: readonly [number, number], view: Extent): Zoom {
  const next = clamp(factor * by, 1, MOST);
  const grown = next / factor;
  return inside({ factor: next, x: (x + atX) * grown - atX, y: (y + atY) * grown - atY }, view);
}

/** Moved by a hand that drags the picture. */
export function panned({ factor, x, y }: Zoom, dx: number, dy: number, view: Extent): Zoom {
  return inside({ factor, x: x - dx, y: y - dy }, view);
}

/** Nothing beyond the stage's border is shown. */
function inside({ factor, x, y }: Zoom, { width, height }: Extent): Zoom {
  return { factor, x: clamp(x, 0, width * (factor - 1)), y: clamp(y, 0, height * (factor - 1)) };
}

/** Pixels of the wheel that magnify by e. */
const PER_E = 300;

export interface ZoomOptions {
  zoom: (by: number, at: readonly [number, number]) => void;
  pan: (dx: number, dy: number) => void;
  whole: () => void;
}

/**
 * Listens to wheel, pinch, dragging with Alt or the middle button, and double clicks, until the signal aborts. The wheel
 * alone is left to the page.
 */
export function trackZoom(element: HTMLElement, options: ZoomOptions, signal: AbortSignal): void {
  const at = ({ clientX, clientY }: { clientX: number; clientY: number }): [number, number] => {
    const { left, top } = element.getBoundingClientRect();
    return [clientX - left, clientY - top];
  };
  const wheel = (event: WheelEvent) => {
    if (!event.ctrlKey && !event.metaKey) return; // a pinch on a touchpad comes as a wheel with Ctrl
    event.preventDefault();
    event.stopPropagation();
    options.zoom(Math.exp(-clamp(event.deltaY, -PER_E, PER_E) / PER_E), at(event));
  };
  let hand: { id: number; x: number; y: number } | null = null;
  const fingers = new Map<number, PointerEvent>();
  /** How far apart two fingers were, and the place between them. */
  let pinched: { wide: number; clientX: number; clientY: number } | null = null;
  const down = (event: PointerEvent) => {
    if (event.pointerType === "touch") {
      fingers.set(event.pointerId, event);
      pinched = null;
      return;
    }
    if (event.button !== 1 && !(event.button === 0 && event.altKey)) return;
    event.preventDefault();
    event.stopPropagation();
    hand = { id: event.pointerId, x: event.clientX, y: event.clientY };
    element.setPointerCapture(event.pointerId);
  };
  const move = (event: PointerEvent) => {
    if (fingers.has(event.pointerId)) {
      fingers.set(event.pointerId, event);
      pinch();
    }
    if (hand?.id !== event.pointerId) return;
    options.pan(event.clientX - hand.x, event.clientY - hand.y);
    hand = { id: event.pointerId, x: event.clientX, y: event.clientY };
  };
  const pinch = () => {
    const [one, other] = [...fingers.values()];
    if (!one || !other) return;
    const wide = Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    const middle = { clientX: (one.clientX + other.clientX) / 2, clientY: (one.clientY + other.clientY) / 2 };
    if (pinched?.wide && wide) {
      options.zoom(wide / pinched.wide, at(pinched));
      options.pan(middle.clientX - pinched.clientX, middle.clientY - pinched.clientY);
    }
    pinched = { wide, ...middle };
  };
  const up = (event: PointerEvent) => {
    fingers.delete(event.pointerId);
    pinched = null;
    if (hand?.id === event.pointerId) hand = null;
  };
  element.addEventListener("wheel", wheel, { signal, passive: false });
  element.addEventListener("pointerdown", down, { signal, capture: true });
  element.addEventListener("pointermove", move, { signal, capture: true });
  for (const kind of ["pointerup", "pointercancel", "lostpointercapture"] as const) {
    element.addEventListener(kind, up, { signal, capture: true });
  }
  element.addEventListener("dblclick", () => options.whole(), { signal });
}
