/** Whoever owns the state that a view shows: a kernel (kernel-host.ts), or a page with embedded pictures (page-host.ts). */

import type { Action, Cell, Edges, Picture, Scene, SyncedState } from "../protocol.js";
import type { Live } from "./resident.js";

/** What the host is doing. */
export interface Activity {
  state: "ready" | "busy" | "error" | "disconnected";
  text: string;
  error: { message: string; details: string } | null;
}

export interface Host {
  get<K extends keyof SyncedState>(name: K): SyncedState[K];
  /** The selected cell: the one asked for last. */
  readonly selected: Cell | null;
  /** The heat map of the selected cell; null: there is none yet. */
  readonly picture: Picture | null;
  /** The heat map to show: that one, or the one under the pointer. */
  readonly shown: Picture | null;
  /** How many heat maps are there before anybody asks. */
  readonly live: Live;
  /** Cell of the heat map that the host itself has put on the screen; undefined: the view is to paint. */
  readonly painted: Cell | null | undefined;
  readonly activity: Activity;
  /** The box asked about last: which cells see it? */
  readonly query: Edges | null;
  /** How many texts this page has put on the clipboard. */
  readonly copies: number;
  /** The layers that can be shown; null: all. */
  readonly offered: ReadonlySet<string> | null;
  /** The photograph that the view has to draw itself; null: the host's canvas has it. */
  readonly scene: Scene | null;
  /** The pointer is over a cell, or over none. */
  hover(cell: Cell | null): void;
  /** Select a cell and show its heat map. */
  request(cell: Cell): void;
  /** Ask which cells see a box; null: nothing any more. */
  ask(box: Edges | null): void;
  /** Show another layer. */
  choose(layer: string): void;
  /** Give a control another value. */
  set(name: string, value: boolean | number | string | null): void;
  /** Show an image file; false if nobody is there to take it. */
  upload(name: string, content: ArrayBuffer): boolean;
  /** Tells whether the picture is magnified: lines and dots on a canvas would be magnified with it. */
  magnified(zoomed: boolean): void;
  /** Have something made. */
  act(name: Action["name"]): void;
  /** Calls back after every change, until the signal aborts. */
  watch(changed: Changed, signal: AbortSignal): void;
}

/** Told of a change: of the heat map on the screen alone, or of anything. */
export type Changed = (what?: "heat") => void;

/** Those who want to hear of every change. */
export class Watchers {
  readonly #all = new Set<Changed>();

  add(changed: Changed, signal: AbortSignal): void {
    this.#all.add(changed);
    signal.addEventListener("abort", () => this.#all.delete(changed));
  }

  notify(what?: "heat"): void {
    for (const changed of this.#all) changed(what);
  }

  clear(): void {
    this.#all.clear();
  }
}
