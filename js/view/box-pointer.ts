/**
 * Presses that ask which cells see a place, on an element that covers the image: a click asks for a pixel, a drag for a
 * box.
 */

import type { Edges } from "../protocol.js";

export interface BoxOptions {
  /** Whether a press is meant to ask. */
  asks: (event: PointerEvent) => boolean;
  /** The whole pixels between two points, which are parts of the element's width and height. */
  between: (from: readonly [number, number], to: readonly [number, number]) => Edges;
  /** The box while it is drawn; null when that is broken off. */
  draft: (box: Edges | null) => void;
  /** The box when it is done. */
  done: (box: Edges) => void;
}

/** CSS pixels by which a hand strays that means to click, and by which a finger does. */
const SLOP = { hand: 3, finger: 8 };

/** Listens until the signal aborts. */
export function trackBox(element: HTMLElement, options: BoxOptions, signal: AbortSignal): void {
  let press: { id: number; x: number; y: number } | null = null;

  const boxTo = (event: PointerEvent, { x, y }: { x: number; y: number }): Edges => {
    const { left, top, width, height } = element.getBoundingClientRect();
    const point = (clientX: number, clientY: number) => [(clientX - left) / width, (clientY - top) / height] as const;
    const slop = event.pointerType === "touch" ? SLOP.finger : SLOP.hand;
    const clicks = Math.abs(event.clientX - x) <= slop && Math.abs(event.clientY - y) <= slop;
    const [from, to] = [point(x, y), point(event.clientX, event.clientY)];
    return options.between(from, clicks ? from : to);
  };
  const cancel = () => {
    if (press) options.draft(null);
    press = null;
  };
  const down = (event: PointerEvent) => {
    if (!event.isPrimary) cancel(); // two fingers zoom
    if (!event.isPrimary || event.button !== 0 || !options.asks(event) || event.ctrlKey) return;
    // Not before: after a press that selects, the browser would lay out the page for an answer.
    const { width, height } = element.getBoundingClientRect();
    if (!width || !height) return;
    press = { id: event.pointerId, x: event.clientX, y: event.clientY };
    element.setPointerCapture(event.pointerId);
    element.focus({ preventScroll: true });
    event.preventDefault(); // no selection of text
    options.draft(boxTo(event, press));
  };
  const move = (event: PointerEvent) => {
    if (press?.id === event.pointerId) options.draft(boxTo(event, press));
  };
  const up = (event: PointerEvent) => {
    if (press?.id !== event.pointerId) return;
    const box = boxTo(event, press);
    press = null;
    options.draft(null);
    options.done(box);
  };

  element.addEventListener("pointerdown", down, { signal });
  element.addEventListener("pointermove", move, { signal });
  element.addEventListener("pointerup", up, { signal });
  element.addEventListener("pointercancel", cancel, { signal });
  element.addEventListener("lostpointercapture", cancel, { signal });
}
