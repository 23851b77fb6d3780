/**
 * Tells the kernel where heat maps are missing: at most twice a second, one message under way, and none at all where
 * nothing is missing. Where nobody can see the widget it says so once, and then nothing; and nothing while a cell runs.
 *
 * No DOM and no kernel here; time and the way out are given.
 */

import type { Cell } from "../protocol.js";
import type { Timer } from "./requests.js";

/** Milliseconds between two hints. */
export const APART = 500;
/** So many times that, after which a hint counts as lost. */
const PATIENT = 30;

export interface HintOptions {
  /** The cell around which maps are missing; null: none are, or nobody is there to make them. */
  missing: () => Cell | null;
  /** Whether somebody can see the widget. */
  shown: () => boolean;
  /** Sends a hint; false if nobody is there to hear it. */
  send: (cell: Cell, shown: boolean) => boolean;
  timer: Timer;
}

export class Hints {
  readonly #options: HintOptions;
  /** Hints that have not been heard yet wait; how many looks they have waited for. */
  #waiting = -1;
  #cooling = false;
  #shown = false;
  /** While the kernel runs a cell: how many looks have waited for its end; -1: it runs none. */
  #paused = -1;
  #cancel = () => {};

  constructor(options: HintOptions) {
    this.#options = options;
  }

  /** Something has changed: perhaps a hint is due. */
  look(): void {
    if (!this.#cooling) this.#tell();
  }

  /** The kernel has heard the last hint. */
  heard(): void {
    this.#waiting = -1;
  }

  /** A cell of the notebook runs: every message would take from it, and no map is made; or it has ended. */
  pause(on: boolean): void {
    this.#paused = on ? 0 : -1;
    if (!on) this.look();
  }

  /** Whether the widget can be seen has changed, or somebody has come to it: that cannot wait. */
  hurry(): void {
    if (this.#shown) this.#tell();
    else this.look();
  }

  /** Forget what is under way. */
  reset(): void {
    this.#cancel();
    this.#cooling = false;
    this.#waiting = this.#paused = -1;
  }

  #tell(): void {
    const cell = this.#options.missing();
    if (!cell) return;
    this.#cooling = true;
    this.#cancel();
    this.#cancel = this.#options.timer(APART, () => {
      this.#cooling = false;
      this.look();
    });
    if (this.#waiting >= 0 && ++this.#waiting < PATIENT) return;
    const shown = this.#options.shown();
    if (!shown && !this.#shown) return;
    // That nobody looks any more is told in any case; the end of a pause may have been lost.
    if (this.#paused >= 0 && shown === this.#shown && ++this.#paused < PATIENT) return;
    this.#shown = shown;
    this.#waiting = this.#options.send(cell, shown) ? 0 : -1;
  }
}
