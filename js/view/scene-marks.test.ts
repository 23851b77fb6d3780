// @vitest-environment happy-dom
import { expect, it } from "vitest";
import type { SceneMark } from "../protocol.js";
import { outlineAt, SceneMarks, tagPlace } from "./scene-marks.js";
import { magnified, type Stage } from "./stage.js";

const STAGE: Stage = { image_size: [30, 20], margin: [10, 6, 4, 2], scale: 2, stretch: 1 };
const LINE: SceneMark = {
  ...{ kind: "line", part: "first", colour: "red", width: 2, dash: [7, 4], halo: "white", halo_width: 4 },
  ...{ halo_opacity: 0.8, through: null, paths: [[11, 7, 49, 7, 49, 25, 11, 25, 11, 7]] },
};
const TAG: SceneMark & { kind: "tag" } = {
  ...{ kind: "tag", part: "first", text: "first", x: 10, y: 6, width: 40, height: 16, colour: "red" },
  of: [10, 6, 50, 26],
};
const DOTS: SceneMark = { kind: "dots", part: "dots", at: [12, 8, 20, 16], radius: 1.5, colour: "green" };

const drawn = (factor: number, marks: readonly SceneMark[] = [DOTS, LINE, TAG], isOn = (_: string) => true) => {
  const scene = new SceneMarks();
  scene.draw(marks, STAGE, magnified(STAGE, factor), isOn);
  return scene;
};

it("lines are as wide and dashed as ever at any zoom, and lie inside the magnified rectangle", () => {
  for (const factor of [1, 0.5, 8]) {
    const [halo, line] = drawn(factor).element.querySelectorAll('[data-part="first"] path');
    expect([halo?.getAttribute("stroke-width"), line?.getAttribute("stroke-width")]).toEqual(["4", "2"]);
    expect(line?.getAttribute("stroke-dasharray")).toBe("7 4");
    const [left, top, right, bottom] = [10, 6, 50, 26].map((edge) => edge * factor) as [number, number, number, number];
    const corners = `M${left + 1} ${top + 1}L${right - 1} ${top + 1}L${right - 1} ${bottom - 1}`;
    expect(line?.getAttribute("d")).toContain(corners);
  }
});

it("dots are as large as ever, at their magnified places", () => {
  const path = drawn(4).element.querySelector('[data-part="dots"] path')?.getAttribute("d");
  expect(path?.split("M").slice(1)).toEqual([
    "46.5 32a1.5 1.5 0 1 0 3 0a1.5 1.5 0 1 0 -3 0",
    "78.5 64a1.5 1.5 0 1 0 3 0a1.5 1.5 0 1 0 -3 0",
  ]);
});

it("an outline that goes around nothing stays a point", () => {
  const corner: [number, number] = [5, 9];
  expect(outlineAt([corner, corner], 2, 3)).toEqual([
    [15, 27],
    [15, 27],
  ]);
});

it("tags stand over everything, and as far as ever from the edges that they stand at", () => {
  const { element, tags } = drawn(8);
  expect([element.querySelector("text"), tags.querySelector("text")?.textContent]).toEqual([null, "first"]);
  const room: [number, number] = [560, 400];
  expect(tagPlace(TAG, 8, room)).toEqual([80, 48]); // in the left top corner
  expect(tagPlace({ ...TAG, x: 8, y: 28 }, 8, room)).toEqual([78, 26 * 8 + 2]); // below
  expect(tagPlace({ ...TAG, x: 10, y: -12 }, 8, room)).toEqual([80, 48 - 18]); // above
  expect(tagPlace({ ...TAG, x: 90, y: 40, of: [-70, -20, 132, 58] }, 3, room)).toEqual([132 * 3 - 42, 58 * 3 - 18]);
  expect(tagPlace({ ...TAG, x: 30 }, 0.5, [35, 40])[0]).toBe(0); // no wider than the stage
});

it("only what is on is shown", () => {
  const { element, tags } = drawn(1, [DOTS, LINE, TAG], (part) => part === "dots");
  const shown = [...element.children, ...tags.children].map((child) => [
    child.getAttribute("data-part"),
    (child as SVGElement).style.display,
  ]);
  expect(shown).toEqual([
    ["dots", ""],
    ["first", "none"],
    ["first", "none"],
  ]);
});
