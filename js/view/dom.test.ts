// @vitest-environment happy-dom
import { expect, it } from "vitest";
import { html, say, show, style } from "./dom.js";

/** What the browser is told of an element while something is done. */
function changes(element: Element, act: () => void): MutationRecord[] {
  const observer = new MutationObserver(() => {});
  observer.observe(element, { attributes: true, characterData: true, childList: true, subtree: true });
  act();
  return observer.takeRecords();
}

it("a text that changes keeps its node, and one that stays is not touched", () => {
  const line = html("div", "", {}, ["cell (1, 2)"]);
  const node = line.firstChild;
  expect(changes(line, () => say(line, "cell (1, 2)"))).toEqual([]);
  expect(changes(line, () => say(line, "cell (3, 2)")).map(({ type }) => type)).toEqual(["characterData"]);
  expect(line.firstChild).toBe(node);
  expect(line.textContent).toBe("cell (3, 2)");
});

it("an empty text leaves no node, so that the element is :empty; the next one comes back", () => {
  const line = html("div", "", {}, ["cell (1, 2)"]);
  say(line, "");
  expect(line.childNodes.length).toBe(0);
  say(line, "cell (2, 2)");
  expect(line.textContent).toBe("cell (2, 2)");
});

it("markup gives way to a text as a whole", () => {
  const line = html("div", "", {}, ["one ", html("b", "", {}, ["two"])]);
  say(line, "three");
  expect(line.innerHTML).toBe("three");
  const text = new Text("four");
  say(text, "five");
  expect(text.data).toBe("five");
});

it("what is shown or hidden already, or styled so, is not touched", () => {
  const part = html("div", "");
  show(part, false);
  style(part, { left: "3px" });
  expect(part.hidden).toBe(true);
  const again = () => {
    show(part, false);
    style(part, { left: "3px" });
  };
  expect(changes(part, again)).toEqual([]);
  show(part, true);
  style(part, { left: "4px" });
  expect([part.hidden, part.style.left]).toEqual([false, "4px"]);
});
