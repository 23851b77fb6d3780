import { beforeEach, describe, expect, it } from "vitest";
import type { Cell } from "../protocol.js";
import { APART, Hints } from "./hints.js";

/** Time that a test moves on. */
let due: (() => void) | null;
let missing: Cell | null;
let shown: boolean;
let reachable: boolean;
let sent: [Cell, boolean][];
let hints: Hints;
const later = () => {
  const call = due;
  due = null;
  call?.();
};

beforeEach(() => {
  due = null;
  missing = [3, 2];
  shown = reachable = true;
  sent = [];
  hints = new Hints({
    missing: () => missing,
    shown: () => shown,
    send: (...hint) => {
      sent.push(hint);
      return reachable;
    },
    timer: (milliseconds, call) => {
      expect(milliseconds).toBe(APART);
      due = call;
      return () => (due = null);
    },
  });
});

describe("hints", () => {
  it("go out at once, and then no sooner than half a second later, to where the pointer is by then", () => {
    hints.look();
    missing = [4, 2];
    hints.look();
    missing = [5, 2];
    hints.heard();
    hints.look();
    expect(sent).toEqual([[[3, 2], true]]);
    later();
    expect(sent).toEqual([
      [[3, 2], true],
      [[5, 2], true],
    ]);
  });

  it("wait for the one before to be heard, for a busy kernel must not find a queue of them", () => {
    hints.look();
    for (let k = 0; k < 20; k++) later();
    expect(sent.length).toBe(1);
    hints.heard();
    later();
    expect(sent.length).toBe(2);
  });

  it("rest while a cell runs, but for the word that nobody can see the widget, and go on when it has ended", () => {
    hints.look();
    hints.pause(true);
    hints.heard();
    for (let k = 0; k < 5; k++) later();
    expect(sent.length).toBe(1);
    shown = false;
    hints.hurry();
    expect(sent.at(-1)).toEqual([[3, 2], false]);
    hints.heard();
    shown = true;
    later();
    expect(sent.at(-1)).toEqual([[3, 2], true]);
    hints.heard();
    later();
    expect(sent.length).toBe(3);
    hints.pause(false);
    later();
    expect(sent.length).toBe(4);
  });

  it("go out again in the end where the end of a pause is lost", () => {
    hints.look();
    hints.heard();
    hints.pause(true);
    for (let k = 0; k < 40; k++) later();
    expect(sent.length).toBe(2);
  });

  it("go out again in the end where one is lost", () => {
    hints.look();
    for (let k = 0; k < 40; k++) later();
    expect(sent.length).toBe(2);
  });

  it("end once nothing is missing, and begin again when something is", () => {
    hints.look();
    hints.heard();
    missing = null;
    later();
    expect([sent.length, due]).toEqual([1, null]);
    hints.look();
    expect(sent.length).toBe(1);
    missing = [0, 0];
    hints.look();
    expect(sent.length).toBe(2);
  });

  it("say at once that nobody can see the widget, and nothing more until somebody can", () => {
    hints.look();
    hints.heard();
    shown = false;
    hints.hurry();
    expect(sent.at(-1)).toEqual([[3, 2], false]);
    hints.heard();
    for (let k = 0; k < 5; k++) later();
    expect(sent.length).toBe(2);
    shown = true;
    later();
    expect(sent.at(-1)).toEqual([[3, 2], true]);
  });

  it("of a widget that nobody has seen yet say nothing", () => {
    shown = false;
    hints.look();
    later();
    expect(sent).toEqual([]);
  });

  it("that nobody is there to hear are not waited for", () => {
    reachable = false;
    hints.look();
    later();
    expect(sent.length).toBe(2);
  });

  it("are forgotten with the connection", () => {
    hints.look();
    hints.reset();
    expect(due).toBeNull();
    hints.look();
    expect(sent.length).toBe(2);
  });
});
