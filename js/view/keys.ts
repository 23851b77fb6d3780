/**
 * What a key on the focused overlay does: a pure decision, no DOM.
 *
 * A plain key must not reach the notebook, which would edit itself (`b` adds a cell, `x` cuts one, arrows leave).
 * Combinations with Ctrl, Meta or Alt belong to the notebook and the browser, and Tab always leaves.
 */

import { moved } from "../geometry.js";
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
 * select: go to a cell. query: ask which cells see the centre of a cell's field. leave: give up the query, or else the
 * focus. swallow: do nothing, and let nobody else. pass: not ours.
 */
export type KeyAction = { kind: "select" | "query"; cell: Cell } | { kind: "leave" | "swallow" | "pass" };

const ARROWS: Record<string, readonly [dx: number, dy: number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** What a key does when `selected` is the selected cell of a grid. */
export function keyAction(key: Key, selected: Cell | null, grid: Cell): KeyAction {
  if (key.ctrlKey || key.metaKey || key.altKey || key.key === "Tab") return { kind: "pass" };
  if (key.key === "Escape") return { kind: "leave" };
  if (grid[0] < 1 || grid[1] < 1) return { kind: "swallow" };
  const from = selected ?? [Math.floor(grid[0] / 2), Math.floor(grid[1] / 2)];
  const arrow = ARROWS[key.key];
  if (arrow) {
    const step = key.shiftKey ? LEAP : 1;
    return { kind: "select", cell: selected ? moved(from, arrow[0] * step, arrow[1] * step, grid) : from };
  }
  if (key.key === "q") return { kind: "query", cell: from };
  if (key.key === "Home") return { kind: "select", cell: [0, 0] };
  if (key.key === "End") return { kind: "select", cell: [grid[0] - 1, grid[1] - 1] };
  if (key.key === "Enter" || key.key === " ") return { kind: "select", cell: from };
  return { kind: "swallow" };
}
