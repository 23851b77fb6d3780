/**
 * The marks of a scene as vector graphics, where no canvas has them: on a page, and in a notebook while the picture is
 * magnified, for lines and dots are as wide at any zoom. Tags are always here, over the outlines. rfwidget/widget/scene.py
 * lists the marks.
 */

import { clamp } from "../geometry.js";
import type { Host } from "../hosts/host.js";
import type { SceneMark } from "../protocol.js";
import { assign, html, place, show, svg } from "./dom.js";
import { imageExtent, type Stage, stageExtent } from "./stage.js";

type Dots = SceneMark & { kind: "dots" };
type Line = SceneMark & { kind: "line" };
type Tag = SceneMark & { kind: "tag" };

export class SceneMarks {
  /** Dots and lines. */
  readonly element = svg("svg", "rfwidget-marks rfwidget-scene");
  readonly tags = svg("svg", "rfwidget-marks rfwidget-tags");
  #drawn: readonly SceneMark[] | null = null;
  #factor = 1;

  constructor() {
    for (const sheet of [this.element, this.tags]) assign(sheet, { "aria-hidden": "true" });
  }

  /** Draws marks that were made for one stage on another of the same image; only the parts that are on. */
  draw(marks: readonly SceneMark[], made: Stage, stage: Stage, isOn: (part: string) => boolean): void {
    const factor = stage.scale / made.scale;
    const extent = stageExtent(stage);
    for (const sheet of [this.element, this.tags]) place(sheet, extent);
    if (marks !== this.#drawn || factor !== this.#factor) {
      const groups = (kinds: readonly string[]) =>
        marks.filter(({ kind }) => kinds.includes(kind)).map((mark) => drawn(mark, factor, extent));
      this.element.replaceChildren(...groups(["dots", "line"]));
      this.tags.replaceChildren(...groups(["tag"]));
    }
    [this.#drawn, this.#factor] = [marks, factor];
    for (const child of [...this.element.children, ...this.tags.children]) {
      if (child instanceof SVGElement) show(child, isOn(child.getAttribute("data-part") ?? ""));
    }
  }
}

function drawn(mark: SceneMark, factor: number, { width, height }: { width: number; height: number }): SVGElement {
  const children =
    mark.kind === "dots"
      ? dots(mark, factor)
      : mark.kind === "line"
        ? lines(mark, factor)
        : tag(mark, tagPlace(mark, factor, [width, height]));
  const group = svg("g", "", children);
  assign(group, { "data-part": mark.part });
  if (mark.kind === "line" && mark.through) assign(group, { "data-through": mark.through.join() });
  return group;
}

function dots({ at, radius, colour }: Dots, factor: number): SVGElement[] {
  const path = svg("path", "");
  const discs = pairs(at).map(
    ([x, y]) =>
      `M${short(x * factor - radius)} ${short(y * factor)}` +
      `a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 ${-2 * radius} 0`,
  );
  assign(path, { d: discs.join(""), fill: colour });
  return [path];
}

function lines(mark: Line, factor: number): SVGElement[] {
  const d = mark.paths.map((path) => `M${outlineAt(pairs(path), mark.width, factor).map(words).join("L")}`).join("");
  const halo = svg("path", "");
  const line = svg("path", "");
  for (const path of [halo, line]) assign(path, { d, fill: "none" });
  assign(halo, { stroke: mark.halo, "stroke-width": mark.halo_width, "stroke-opacity": mark.halo_opacity });
  assign(line, { stroke: mark.colour, "stroke-width": mark.width, "stroke-dasharray": mark.dash.join(" ") });
  return [halo, line];
}

/** Corners of a magnified rectangle whose line, of the same width as before, lies inside it as before. */
export function outlineAt(corners: readonly [number, number][], width: number, factor: number): [number, number][] {
  const middle = [0, 1].map((axis) => {
    const along = corners.map((corner) => corner[axis] ?? 0);
    return (Math.min(...along) + Math.max(...along)) / 2;
  });
  const moved = (at: number, axis: number) => {
    const inset = (Math.sign(at - (middle[axis] ?? 0)) * width) / 2;
    return (at + inset) * factor - inset;
  };
  return corners.map(([x, y]) => [moved(x, 0), moved(y, 1)]);
}

/** Where a tag stands on a magnified stage: as far as before from the edges of its rectangle that it stands at. */
export function tagPlace(
  { x, y, width, height, of: [left, top, right, bottom] }: Tag,
  factor: number,
  [across, down]: readonly [number, number],
): [number, number] {
  const beside = (low: number, length: number, edges: readonly [number, number], room: number) => {
    const apart = edges.map((edge) => Math.min(Math.abs(low - edge), Math.abs(low + length - edge)));
    const edge = (apart[0] ?? 0) <= (apart[1] ?? 0) ? edges[0] : edges[1];
    return clamp(edge * factor + low - edge, 0, Math.max(room - length, 0));
  };
  return [beside(x, width, [left, right], across), beside(y, height, [top, bottom], down)];
}

function tag({ text, width, height, colour }: Tag, [x, y]: readonly [number, number]): SVGElement[] {
  const ground = svg("rect", "");
  assign(ground, { x, y, width, height, fill: colour });
  const words = svg("text", "rfwidget-tag", [text]);
  assign(words, { x: x + 4, y: y + height / 2 + 4 });
  return [ground, words];
}

function pairs(flat: readonly number[]): [number, number][] {
  return flat.flatMap((x, k) => (k % 2 ? [] : [[x, flat[k + 1] ?? 0]]));
}

function words(corner: readonly [number, number]): string {
  return corner.map(short).join(" ");
}

function short(length: number): number {
  return Math.round(length * 100) / 100;
}

/** The photograph under it all, or the model's own pixels. */
export class Photo {
  readonly element = html("img", "rfwidget-photo", { alt: "" });

  draw(host: Host, stage: Stage): void {
    const { photo = "", pixels = "" } = host.scene ?? {};
    const exact = !photo || (host.get("controls")?.show_pixels ?? false);
    const address = exact ? pixels : photo;
    if (this.element.getAttribute("src") !== address) this.element.src = address;
    const [left, top] = stage.margin;
    place(this.element, { left, top, ...imageExtent(stage) });
    this.element.classList.toggle("rfwidget-magnified", exact && stage.scale >= 1 && stage.stretch === 1);
  }
}
