// @vitest-environment happy-dom
import { expect, it, vi } from "vitest";
import { followFragment, type HeightMessage, tellHeight } from "./embedding.js";

it("follows the colours that the fragment names, and the system's where it names none", () => {
  const [root, address, window] = [document.createElement("div"), { hash: "#dark" }, new EventTarget()];
  followFragment(root, address, window);
  expect(root.style.colorScheme).toBe("dark");
  const seen = ["#light", "#section", "#dark", ""].map((hash) => {
    address.hash = hash;
    window.dispatchEvent(new Event("hashchange"));
    return root.style.colorScheme;
  });
  expect(seen).toEqual(["light", "", "dark", ""]);
});

it("tells the height again whenever it changes", () => {
  const body = document.createElement("div");
  let height = 700;
  Object.defineProperty(body, "offsetHeight", { get: () => height });
  let resized = () => {};
  vi.stubGlobal(
    "ResizeObserver",
    class {
      constructor(changed: () => void) {
        resized = changed;
      }
      observe(element: Element) {
        if (element === body) resized();
      }
    },
  );
  const told: HeightMessage[] = [];
  tellHeight(body, (message) => told.push(message));
  height = 810;
  resized();
  expect(told.map((message) => message.height)).toEqual([700, 810]);
  vi.unstubAllGlobals();
});
