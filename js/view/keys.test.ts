import { describe, expect, it } from "vitest";
import type { Cell } from "../protocol.js";
import { type Key, keyAction, passes } from "./keys.js";

const GRID: Cell = [32, 16];
const key = (name: string, modifiers: Partial<Key> = {}): Key => ({
  key: name,
  shiftKey: false,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  ...modifiers,
});
const target = (...args: Parameters<typeof keyAction>) => {
  const action = keyAction(...args);
  return action.kind === "select" ? action.cell : action.kind;
};

describe("arrow keys", () => {
  it("move one cell, x by left and right, y by up and down", () => {
    expect(target(key("ArrowLeft"), [20, 5], GRID)).toEqual([19, 5]);
    expect(target(key("ArrowRight"), [20, 5], GRID)).toEqual([21, 5]);
    expect(target(key("ArrowUp"), [20, 5], GRID)).toEqual([20, 4]);
    expect(target(key("ArrowDown"), [20, 5], GRID)).toEqual([20, 6]);
  });

  it("move five cells with Shift", () => {
    expect(target(key("ArrowRight", { shiftKey: true }), [20, 5], GRID)).toEqual([25, 5]);
    expect(target(key("ArrowUp", { shiftKey: true }), [20, 7], GRID)).toEqual([20, 2]);
  });

  it("stop at the border", () => {
    expect(target(key("ArrowRight", { shiftKey: true }), [29, 5], GRID)).toEqual([31, 5]);
    expect(target(key("ArrowUp"), [20, 0], GRID)).toEqual([20, 0]);
  });

  it("begin at the central cell", () => expect(target(key("ArrowLeft"), null, GRID)).toEqual([16, 8]));
});

describe("other keys", () => {
  it("Q asks about the place of the selected cell, or of the central one", () => {
    expect(keyAction(key("q"), [20, 5], GRID)).toEqual({ kind: "query", cell: [20, 5] });
    expect(keyAction(key("q"), null, GRID)).toEqual({ kind: "query", cell: [16, 8] });
  });

  it("Home and End go to the corners", () => {
    expect(target(key("Home"), [20, 5], GRID)).toEqual([0, 0]);
    expect(target(key("End"), [20, 5], GRID)).toEqual([31, 15]);
  });

  it("Enter and Space ask for the same cell again", () => {
    expect(target(key("Enter"), [20, 5], GRID)).toEqual([20, 5]);
    expect(target(key(" "), [20, 5], GRID)).toEqual([20, 5]);
  });

  it("Escape leaves, with a grid or without", () => {
    expect(target(key("Escape"), [20, 5], GRID)).toBe("leave");
    expect(target(key("Escape"), null, [0, 0])).toBe("leave");
  });

  it.each(["b", "x", "j", "d", "9", "PageDown", "Delete"])("%s does nothing and reaches nobody", (name) => {
    expect(target(key(name), [20, 5], GRID)).toBe("swallow");
    expect(target(key(name, { shiftKey: true }), [20, 5], GRID)).toBe("swallow");
  });

  it("plus, minus and zero zoom, and a question mark asks for help", () => {
    const factors = ["+", "-", "0"].map((name) => keyAction(key(name), [20, 5], GRID));
    expect(factors).toEqual([1.5, 1 / 1.5, 0].map((factor) => ({ kind: "zoom", factor })));
    expect(keyAction(key("?", { shiftKey: true }), null, [0, 0])).toEqual({ kind: "help" });
  });

  it("Tab passes, backwards too", () => {
    expect(passes(key("Tab"))).toBe(true);
    expect(passes(key("Tab", { shiftKey: true }))).toBe(true);
  });

  it.each(["ctrlKey", "metaKey", "altKey"] as const)("combinations with %s pass", (modifier) => {
    for (const name of ["s", "ArrowLeft", "Escape", "Enter"])
      expect(passes(key(name, { [modifier]: true }))).toBe(true);
  });

  it("alone, or with Shift, do not", () => {
    for (const name of ["b", "q", "ArrowLeft", "Escape", "Enter"]) {
      expect(passes(key(name))).toBe(false);
      expect(passes(key(name, { shiftKey: true }))).toBe(false);
    }
  });

  it("move nothing where there is no grid, and reach nobody", () =>
    expect(target(key("ArrowLeft"), null, [0, 0])).toBe("swallow"));
});
