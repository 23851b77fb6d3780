/**
 * Keys on what has the focus, and what they do on the overlay.
 *
 * A plain key must not reach the notebook, which would edit itself (`b` adds a cell, `x` cuts one, arrows leave).
 * Combinations with Ctrl, Meta or Alt belong to the notebook and the browser, and Tab always leaves.
 */

import { cellsIn, middleOf, moved } from "../geometry.js";
import type { Cell } from "../protocol.js";

/** Cells that an arrow key moves with Shift. */
const LEAP = 5;

/** The part of a KeyboardEvent that decides. */
export interface Key {
  key: string;
  shiftKey: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}

/**
 * select: go to a cell. query: ask which cells see the centre of a cell's field. zoom: magnify by a factor; 0: back to
 * the whole image. help: open the sheet. leave: give up the query, or else the focus. swallow: do nothing, and let
 * nobody else.
 */
export type KeyAction =
  | { kind: "select" | "query"; cell: Cell }
  | { kind: "zoom"; factor: number }
  | { kind: "leave" | "swallow" | "help" };

const ARROWS: Record<string, readonly [dx: number, dy: number, dz?: number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
  PageUp: [0, 0, -1],
  PageDown: [0, 0, 1],
};

const ZOOMS: Record<string, number> = { "+": 1.5, "=": 1.5, "-": 1 / 1.5, "0": 0 };

/** What a plain key does when `selected` is the selected cell of a grid. */
export function keyAction(key: Key, selected: Cell | null, grid: Cell): KeyAction {
  if (key.key === "Escape") return { kind: "leave" };
  if (key.key === "?") return { kind: "help" };
  const factor = ZOOMS[key.key];
  if (factor !== undefined) return { kind: "zoom", factor };
  if (!cellsIn(grid)) return { kind: "swallow" };
  const from = selected ?? middleOf(grid);
  const arrow = ARROWS[key.key];
  if (arrow && arrow.length <= Math.max(grid.length, 2)) {
    const steps = arrow.map((by = 0) => by * (key.shiftKey ? LEAP : 1));
    return { kind: "select", cell: selected ? moved(from, steps, grid) : from };
  }
  if (key.key === "q") return { kind: "query", cell: from };
  if (key.key === "Home") return { kind: "select", cell: grid.map(() => 0) as unknown as Cell };
  if (key.key === "End") return { kind: "select", cell: grid.map((count = 1) => count - 1) as unknown as Cell };
  if (key.key === "Enter" || key.key === " ") return { kind: "select", cell: from };
  return { kind: "swallow" };
}

/** Whether a key belongs to the notebook and the browser. */
export function passes(key: Key): boolean {
  return key.ctrlKey || key.metaKey || key.altKey || key.key === "Tab";
}

/**
 * Keeps plain keys on fields and buttons from the notebook, until the signal aborts; what they do there stays.
 *
 * @param isOurs whether a key pressed on that element is ours
 * @param press called with each plain key, for the notebook's way is the element's own way as well
 */
export function shieldKeys(
  isOurs: (target: EventTarget | undefined) => boolean,
  press: (event: KeyboardEvent) => void,
  signal: AbortSignal,
): void {
  const shield = (event: KeyboardEvent) => {
    if (!isOurs(event.composedPath()[0]) || passes(event)) return;
    event.stopPropagation();
    if (event.type === "keydown") press(event);
  };
  for (const kind of ["keydown", "keypress", "keyup"] as const) {
    window.addEventListener(kind, shield, { signal, capture: true });
  }
}

/**
 * Listens until the signal aborts, and keeps plain keys from everybody else.
 *
 * On the window and on the way down: Notebook 7 takes its keys on the way down to the document.
 *
 * @param isOurs whether a key pressed on that element is ours
 * @param press called with each plain key of ours
 */
export function trackKeys(
  isOurs: (target: EventTarget | undefined) => boolean,
  press: (event: KeyboardEvent) => void,
  signal: AbortSignal,
): void {
  const catches = (event: KeyboardEvent) => {
    if (!isOurs(event.composedPath()[0]) || passes(event)) return false;
    event.stopPropagation();
    return true;
  };
  const down = (event: KeyboardEvent) => {
    if (!catches(event)) return;
    event.preventDefault();
    press(event);
  };
  window.addEventListener("keydown", down, { signal, capture: true });
  window.addEventListener("keyup", catches, { signal, capture: true });
}
