/**
 * Back-pressure: at most one request in flight and one pending, the newest wins.
 *
 * The kernel acknowledges a request when its handler runs, and answers when the work is done. Before the
 * acknowledgement the kernel is busy with something else (a running cell), so waiting is all there is to do: sending
 * again would only lengthen its queue. From the acknowledgement on, or once the kernel shows any other sign of life, an
 * answer that stays away is lost: the newest request is sent again, and given up after that. A kernel that is idle and
 * still does not acknowledge has never heard of the request: a connection that is cut takes messages with it.
 *
 * No DOM and no kernel here; time and the way out are given.
 */

import type { Cell } from "../protocol.js";

/** Milliseconds that a request rests whose answer nobody waits for: a drag over many cells asks for a few of them. */
export const CALM = 100;
/** Milliseconds before a missing answer is worth a word. */
export const PATIENCE = 300;
/** Milliseconds from the acknowledgement after which an answer counts as lost. */
export const TIMEOUT = 15_000;
/** Milliseconds between two looks at a kernel that owes an acknowledgement. */
export const LOOK = 1_000;
/** So many looks in a row must find the kernel idle, for an acknowledgement may be on its way. */
const LOOKS = 2;
/** How often one request is sent. */
const ATTEMPTS = 2;

/**
 * idle: nothing is asked. sent: an answer should come at any moment. waiting: not even acknowledged yet. working:
 * acknowledged, and taking its time. lost: given up.
 */
export type Phase = "idle" | "sent" | "waiting" | "working" | "lost";

/** Calls back after some milliseconds; returns how to cancel that. */
export type Timer = (milliseconds: number, callback: () => void) => () => void;

/** A request under way. */
interface Flight {
  cell: Cell;
  seq: number;
  attempt: number;
  acknowledged: boolean;
}

export interface QueueOptions {
  /** Sends a request; false if nobody is there to hear it. */
  send: (seq: number, cell: Cell) => boolean;
  timer: Timer;
  /** Whether the kernel is known to have nothing to do; false where nobody knows. */
  idle: () => boolean;
  /** Called after every change of phase that time brings. */
  changed: () => void;
}

export class RequestQueue {
  readonly #options: QueueOptions;
  #flight: Flight | null = null;
  #pending: Cell | null = null;
  #phase: Phase = "idle";
  #seq = 0;
  #cancelPatience = () => {};
  #cancelTimeout = () => {};
  #resting = false;
  #cancelRest = () => {};

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  get phase(): Phase {
    return this.#pending && !this.#flight ? "sent" : this.#phase;
  }

  /** The cell asked for last, while its answer is due. */
  get wanted(): Cell | null {
    return this.#pending ?? this.#flight?.cell ?? null;
  }

  /** Ask for a cell; also for the same one again. Calmly: its heat map is there, and the kernel may learn of it later. */
  ask(cell: Cell, calmly = false): void {
    this.#pending = cell;
    if (!calmly) this.#go();
    else if (!this.#resting) {
      this.#resting = true;
      this.#cancelRest = this.#options.timer(CALM, () => this.#go());
    }
  }

  /** The kernel's handler has seen a request. */
  acknowledge(seq: number): void {
    if (this.#flight?.seq !== seq) return;
    this.#flight.acknowledged = true;
    if (this.#phase === "waiting") this.#phase = "working";
    this.#watch();
  }

  /** A request has come to its end: answered, failed or superseded. */
  finish(seq: number): void {
    if (this.#flight && this.#flight.seq !== seq) return;
    this.#land();
    if (!this.#resting) this.#go();
  }

  /** The kernel has shown itself, so it is not stuck before our request: from here on an answer can be overdue. */
  alive(): void {
    if (this.#flight) this.#watch();
  }

  /** Forget everything, as when the kernel has gone. */
  reset(): void {
    this.#pending = null;
    this.#rested();
    this.#land();
  }

  #rested(): void {
    this.#resting = false;
    this.#cancelRest();
  }

  /** Sends what is pending, unless it has to wait for its turn. */
  #go(): void {
    this.#rested();
    if (this.#pending && !this.#flight) this.#launch(this.#pending, 1);
  }

  #launch(cell: Cell, attempt: number): void {
    this.#land();
    this.#pending = null;
    const seq = ++this.#seq;
    this.#flight = { cell, seq, attempt, acknowledged: false };
    this.#phase = "sent";
    if (!this.#options.send(seq, cell)) {
      this.reset();
      return;
    }
    this.#cancelPatience = this.#options.timer(PATIENCE, () => {
      this.#phase = this.#flight?.acknowledged ? "working" : "waiting";
      this.#options.changed();
      this.#look(LOOKS);
    });
  }

  #look(left: number): void {
    this.#cancelPatience = this.#options.timer(LOOK, () => {
      if (this.#flight?.acknowledged) return;
      const more = this.#options.idle() ? left - 1 : LOOKS;
      if (more === 0) this.#expire();
      else this.#look(more);
    });
  }

  #land(): void {
    this.#flight = null;
    this.#phase = "idle";
    this.#cancelPatience();
    this.#cancelTimeout();
  }

  #watch(): void {
    this.#cancelTimeout();
    this.#cancelTimeout = this.#options.timer(TIMEOUT, () => this.#expire());
  }

  #expire(): void {
    const flight = this.#flight;
    if (this.#pending) this.#launch(this.#pending, 1);
    else if (flight && flight.attempt < ATTEMPTS) this.#launch(flight.cell, flight.attempt + 1);
    else {
      this.#land();
      this.#phase = "lost";
    }
    this.#options.changed();
  }
}
