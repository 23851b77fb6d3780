import { expect, it, vi } from "vitest";
import { Watchers } from "./host.js";

it("watchers hear of every change until their signal aborts, or all are let go", () => {
  const watchers = new Watchers();
  const [first, second] = [vi.fn(), vi.fn()];
  const life = new AbortController();
  watchers.add(first, life.signal);
  watchers.add(second, new AbortController().signal);
  watchers.notify();
  life.abort();
  watchers.notify();
  expect([first.mock.calls.length, second.mock.calls.length]).toEqual([1, 2]);
  watchers.clear();
  watchers.notify();
  expect(second).toHaveBeenCalledTimes(2);
});
