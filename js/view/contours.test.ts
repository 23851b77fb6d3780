// @vitest-environment happy-dom
import { expect, it } from "vitest";
import type { Contours } from "../protocol.js";
import { STATE } from "../testing.js";
import { ContourMarks } from "./contours.js";

const CONTOURS: Contours = {
  x: { start: -10, stride: 4 },
  y: { start: -5.5, stride: 2.5 },
  levels: [
    { share: 0.5, loops: [[2, 1, 5, 1, 5, 3, 2, 3]] },
    { share: 0.95, loops: [[0, 0, 7, 0, 7, 4, 0, 4]] },
  ],
};

it("outlines move with the selected cell, from pixel to pixel, and scale with the image", () => {
  const marks = new ContourMarks();
  marks.draw(STATE, CONTOURS, [20, 5]);
  // x: -10 + 80 = 70; y: floor(-5.5 + 12.5) = 7; behind a margin of 40 and 20 at scale 3.
  expect(marks.element.querySelector("g")?.getAttribute("transform")).toBe("translate(250 41)");
  expect(marks.element.querySelector("path.rfwidget-line")?.getAttribute("d")).toBe("M6 3 15 3 15 9 6 9Z");
  marks.draw(STATE, CONTOURS, [20, 6]);
  expect(marks.element.querySelector("g")?.getAttribute("transform")).toBe("translate(250 47)"); // floor(9.5) = 9
  expect(marks.labels.querySelector("g")?.getAttribute("transform")).toBe("translate(250 47)");
});

it("every share has a label where the other has none, and a line of its own kind", () => {
  const marks = new ContourMarks();
  marks.draw(STATE, CONTOURS, [20, 5]);
  const labels = [...marks.labels.querySelectorAll("text")];
  expect(labels.map((label) => label.textContent)).toEqual(["50 %", "95 %"]);
  const places = labels.map((label) => [label.getAttribute("x"), label.getAttribute("y")]);
  expect(places).toEqual([
    ["9", "-2"], // above (2, 1)
    ["24", "4"], // right of (7, 0)
  ]);
  const shares = [...marks.element.querySelectorAll("path.rfwidget-line")].map((path) =>
    path.getAttribute("data-share"),
  );
  expect(shares).toEqual(["0.5", "0.95"]);
});

it("without outlines or a cell nothing shows", () => {
  const marks = new ContourMarks();
  marks.draw(STATE, CONTOURS, null);
  expect([marks.element.style.display, marks.labels.style.display]).toEqual(["none", "none"]);
  marks.draw(STATE, CONTOURS, [1, 1]);
  expect(marks.element.style.display).toBe("");
  marks.draw(STATE, null, [1, 1]);
  expect([marks.element.style.display, marks.labels.style.display]).toEqual(["none", "none"]);
});
