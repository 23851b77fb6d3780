/**
 * Mouse, pen and touch on an element, told in cells.
 *
 * Moving hovers; pressing selects; pressing and moving scrubs, also beyond the element's border. A finger that moves up
 * or down scrolls the page (`touch-action: pan-y` in overlay.css), one that moves sideways scrubs, and a tap selects;
 * so a finger selects only when it has moved or is lifted. Two fingers and the wheel are left alone.
 *
 * Only the plain main button counts, and of that only what is not meant to ask which cells see a pixel (box-pointer.ts).
 */

import type { Cell } from "../protocol.js";

export interface PointerOptions {
  /** The cell at a point of the element, given as fractions of its width and height; null if there is no grid. */
  cellAt: (fraction: readonly [x: number, y: number]) => Cell | null;
  /** The pointer is over a cell, or over none; at most once per frame. */
  hover: (cell: Cell | null) => void;
  /** Whether a press is meant to select; without this, every one without Shift. */
  selects?: (event: PointerEvent) => boolean;
  press: (cell: Cell) => void;
  /** The pressed pointer has come to another cell. */
  scrub: (cell: Cell) => void;
}

/** A press that lasts. */
interface Press {
  id: number;
  x: number;
  y: number;
  /** The cell told last. */
  cell: Cell | null;
  /** Whether it may scrub: a finger must first show that it does not want to scroll. */
  scrubs: boolean;
}

/** CSS pixels that a finger may stray and still tap. */
const SLOP = 8;

/** Listens until the signal aborts. */
export function trackPointer(element: HTMLElement, options: PointerOptions, signal: AbortSignal): void {
  let pressed: Press | null = null;
  let frame = 0;

  const box = boxInFrames(element);
  const selects = options.selects ?? ((event) => !event.shiftKey);
  const cellAt = ({ clientX, clientY }: PointerEvent): Cell | null => {
    const { left, top, width, height } = box();
    return width && height ? options.cellAt([(clientX - left) / width, (clientY - top) / height]) : null;
  };
  const hover = (event: PointerEvent | null) => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => options.hover(event && cellAt(event)));
  };
  const visit = (event: PointerEvent, tell: (cell: Cell) => void) => {
    const cell = cellAt(event);
    if (!pressed || !cell || (pressed.cell?.[0] === cell[0] && pressed.cell[1] === cell[1])) return;
    pressed.cell = cell;
    tell(cell);
  };

  const down = (event: PointerEvent) => {
    if (!event.isPrimary) pressed = null; // two fingers zoom
    if (!event.isPrimary || event.button !== 0 || event.ctrlKey || !selects(event)) return;
    const touch = event.pointerType === "touch";
    pressed = { id: event.pointerId, x: event.clientX, y: event.clientY, cell: null, scrubs: !touch };
    // First of all: what the page does about the focus takes its time.
    if (!touch) visit(event, options.press);
    element.setPointerCapture(event.pointerId);
    element.focus({ preventScroll: true });
    hover(event);
    if (!touch) event.preventDefault(); // no text selection, no drag of the picture
  };
  const move = (event: PointerEvent) => {
    hover(event);
    if (pressed?.id !== event.pointerId) return;
    const [across, along] = strayed(pressed, event);
    pressed.scrubs ||= across > SLOP && across > along;
    if (pressed.scrubs) visit(event, options.scrub);
  };
  const up = (event: PointerEvent) => {
    if (pressed?.id !== event.pointerId) return;
    if (event.pointerType === "touch") {
      if (!pressed.scrubs && Math.max(...strayed(pressed, event)) <= SLOP) visit(event, options.press);
      hover(null);
    }
    pressed = null;
  };
  const cancel = () => {
    pressed = null;
    hover(null);
  };

  element.addEventListener("pointerdown", down, { signal });
  element.addEventListener("pointermove", move, { signal });
  element.addEventListener("pointerup", up, { signal });
  element.addEventListener("pointercancel", cancel, { signal });
  element.addEventListener("lostpointercapture", () => (pressed = null), { signal });
  element.addEventListener("pointerleave", () => pressed || hover(null), { signal });
  signal.addEventListener("abort", () => cancelAnimationFrame(frame));
}

/**
 * Tells where an element is in the window, as it was when first asked for in this frame: after each change the browser has
 * to lay out the page for an answer, and a pointer that moves changes it.
 *
 * The bounding box already holds every transform, zoom and scroll; the element is to have no border.
 */
function boxInFrames(element: HTMLElement): () => DOMRect {
  let [frame, box]: [unknown, DOMRect | null] = [null, null];
  return () => {
    const now = document.timeline?.currentTime ?? null;
    if (!box || now === null || now !== frame) [frame, box] = [now, element.getBoundingClientRect()];
    return box;
  };
}

/** How far a pointer has come from where it was pressed, in CSS pixels. */
function strayed({ x, y }: Press, { clientX, clientY }: PointerEvent): [across: number, along: number] {
  return [Math.abs(clientX - x), Math.abs(clientY - y)];
}
