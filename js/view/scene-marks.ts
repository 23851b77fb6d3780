/** The marks of a scene as vector graphics, on a page where no canvas has them; rfwidget/widget/scene.py lists them. */

import type { SceneMark } from "../protocol.js";
import { assign, html, place, svg } from "./dom.js";
import { type Stage, stageExtent } from "./stage.js";

export class SceneMarks {
  readonly element = svg("svg", "rfwidget-marks rfwidget-scene");
  #drawn: readonly SceneMark[] | null = null;

  constructor() {
    assign(this.element, { "aria-hidden": "true" });
  }

  /** Draws marks that were made for one stage on another of the same image; only the parts that are on. */
  draw(marks: readonly SceneMark[], made: Stage, stage: Stage, isOn: (part: string) => boolean): void {
    const { width, height } = stageExtent(made);
    place(this.element, stageExtent(stage));
    assign(this.element, { viewBox: `0 0 ${width} ${height}` });
    if (marks !== this.#drawn) this.element.replaceChildren(...marks.map(drawn));
    this.#drawn = marks;
    for (const child of this.element.children) {
      if (child instanceof SVGElement) child.style.display = isOn(child.getAttribute("data-part") ?? "") ? "" : "none";
    }
  }
}

function drawn(mark: SceneMark): SVGElement {
  const group = svg("g", "", mark.kind === "dots" ? dots(mark) : mark.kind === "line" ? lines(mark) : tag(mark));
  assign(group, { "data-part": mark.part });
  return group;
}

function dots({ at, radius, colour }: SceneMark & { kind: "dots" }): SVGElement[] {
  const path = svg("path", "");
  const discs = pairs(at).map(
    ([x, y]) =>
      `M${x - radius} ${y}a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 ${-2 * radius} 0`,
  );
  assign(path, { d: discs.join(""), fill: colour });
  return [path];
}

function lines(mark: SceneMark & { kind: "line" }): SVGElement[] {
  const d = mark.paths
    .map(
      (path) =>
        `M${pairs(path)
          .map((corner) => corner.join(" "))
          .join("L")}`,
    )
    .join("");
  const halo = svg("path", "");
  const line = svg("path", "");
  for (const path of [halo, line]) assign(path, { d, fill: "none" });
  assign(halo, { stroke: mark.halo, "stroke-width": mark.halo_width, "stroke-opacity": mark.halo_opacity });
  assign(line, { stroke: mark.colour, "stroke-width": mark.width, "stroke-dasharray": mark.dash.join(" ") });
  return [halo, line];
}

function tag({ text, x, y, width, height, colour }: SceneMark & { kind: "tag" }): SVGElement[] {
  const ground = svg("rect", "");
  assign(ground, { x, y, width, height, fill: colour });
  const words = svg("text", "rfwidget-tag", [new Text(text)]);
  assign(words, { x: x + 4, y: y + height / 2 + 4 });
  return [ground, words];
}

function pairs(flat: readonly number[]): [number, number][] {
  return flat.flatMap((x, k) => (k % 2 ? [] : [[x, flat[k + 1] ?? 0]]));
}

/** The photograph under it all, or the model's own pixels. */
export class Photo {
  readonly element = html("img", "rfwidget-photo", { alt: "" });

  draw(address: string, exact: boolean, stage: Stage): void {
    if (this.element.getAttribute("src") !== address) this.element.src = address;
    const [left, top] = stage.margin;
    const [width, height] = stage.image_size;
    place(this.element, { left, top, width: width * stage.scale, height: height * stage.scale });
    this.element.classList.toggle("rfwidget-magnified", exact && stage.scale >= 1);
  }
}
