/**
 * Volumes: the picture is three orthogonal sections through the selected cell, side by side.
 *
 * As rfwidget/widget/sections.py and section_scene.py have them; the sections are cut here, out of the voxels that are in
 * the page, so that they follow every step of the cell at once.
 */

import {
  axesOf,
  cellsIn,
  centreAt,
  clamp,
  countOf,
  edgesFrom,
  middleOf,
  moved,
  nearest,
  pairsOf,
  sameCell,
} from "../geometry.js";
import { type Decode, decodePicture } from "../hosts/decode.js";
import type { Host } from "../hosts/host.js";
import type { Cell, Edges, Field, Rect, Scene, Section, Volume } from "../protocol.js";
import { assign, html, place, say, show, svg } from "./dom.js";
import type { Asked, Drawings, Kind, Place } from "./kind.js";
import { type Compared, Marks } from "./marks.js";
import { fillPixels, type Spot } from "./painter.js";
import { QueryMarks } from "./query-marks.js";
import { imageExtent, type Stage, stageExtent } from "./stage.js";

type Voxel = readonly [x: number, y: number, z: number];

/** Columns of the picture that holds the voxels, as in rfwidget/widget/page.py. */
const WIDE = 2048;
/** Pixels that the wheel turns for one cell. */
const NOTCH = 40;

export const sections: Kind = {
  cellAt(host, at) {
    const [volume, field, grid] = [host.get("volume"), host.get("field"), host.get("grid")];
    if (!volume || !field || !cellsIn(grid)) return null;
    const section = sectionAt(volume, at);
    const cell = [...(host.selected ?? middleOf(grid))];
    for (const [axis, along] of placed(section, at)) {
      const own = axesOf(field)[axis];
      if (own) cell[axis] = nearest(own, along, grid[axis] ?? 1);
    }
    return cell as unknown as Cell;
  },
  placeOf(host, centre) {
    const [across, down, , left, top] = host.get("volume")?.sections[0] ?? [0, 1, 2, 0, 0];
    return [left + (centre[across] ?? 0), top + (centre[down] ?? 0)];
  },
  between(host, from, to) {
    const volume = host.get("volume");
    if (!volume) return [];
    const section = sectionAt(volume, from);
    const pairs = cutOf(host, volume).map((at): [number, number] => [at, at + 1]);
    const ends = placed(section, to);
    placed(section, from).forEach(([axis, start], k) => {
      pairs[axis] = whole(start, ends[k]?.[1] ?? start, volume.size[axis] ?? 1);
    });
    return edgesFrom(pairs);
  },
  pixelAt(host, at) {
    const size = host.get("volume")?.size ?? [1, 1, 1];
    return edgesFrom(size.map((length, axis) => whole(at[axis] ?? 0, at[axis] ?? 0, length)));
  },
  heat(host) {
    // The map of a cell shows it in the sections through that cell.
    const { picture } = host;
    const shown = host.get("show_heat") && picture && sameCell(picture.cell, host.selected) ? picture : null;
    return {
      shown,
      spots: (shown && host.get("volume")?.sections.map((section) => spot(host, section, shown.rect))) ?? [],
    };
  },
  drawings: (host) => new SectionDrawings(host),
  files: null,
};

/** The section that holds a place of the picture, or is nearest to it. */
export function sectionAt({ size, sections }: Volume, [x, y]: Place): Section {
  const beyond = (at: number, start: number, length: number) => Math.max(start - at, 0, at - start - length);
  const away = ([across, down, , left, top]: Section) =>
    beyond(x, left, size[across] ?? 0) + beyond(y, top, size[down] ?? 0);
  return sections.reduce((best, section) => (away(section) < away(best) ? section : best));
}

/** Where a place of the picture lies in a section: its axes, each with the place along it in voxels. */
function placed([across, down, , left, top]: Section, [x, y]: Place): [axis: number, at: number][] {
  return [
    [across, x - left],
    [down, y - top],
  ];
}

/** The whole voxels between two places along an axis, at least one. */
function whole(a: number, b: number, length: number): [number, number] {
  const low = clamp(Math.floor(Math.min(a, b)), 0, length - 1);
  return [low, clamp(Math.ceil(Math.max(a, b)), low + 1, length)];
}

/** The voxel where the sections cut: the centre of the selected cell's field, or the nearest one to that. */
export function cutOf(host: Pick<Host, "get" | "selected">, { size }: Volume): Voxel {
  const field = host.get("field");
  const cell = host.selected;
  const axes = field && axesOf(field);
  return size.map((length, k) => {
    const axis = axes?.[k];
    const at = axis && cell ? centreAt(axis, cell[k] ?? 0) : length / 2;
    return clamp(Math.floor(at), 0, length - 1);
  }) as unknown as Voxel;
}

/** A section in the picture, and a box in it. */
function spot(host: Host, section: Section, box: Edges): Spot {
  const [across, down, , left, top] = section;
  const size = host.get("volume")?.size ?? [0, 0, 0];
  const [wide, high] = [size[across] ?? 0, size[down] ?? 0];
  const [from, above, to, below] = flatBox(section, box);
  return [
    [left, top, left + wide, top + high],
    [left + from, top + above, left + to, top + below],
  ];
}

/** A box as a section shows it, in its own pixels. */
function flatBox([across, down]: Section, box: Edges): Rect {
  const pairs = pairsOf(box);
  const [[left, right], [top, bottom]] = [pairs[across] ?? [0, 0], pairs[down] ?? [0, 0]];
  return [left, top, right, bottom];
}

function flatField([across, down]: Section, field: Field | null): Field | null {
  const axes = field ? axesOf(field) : [];
  const [x, y] = [axes[across], axes[down]];
  return x && y ? { x, y } : null;
}

function flatCell([across, down]: Section, cell: Cell | null): Cell | null {
  return cell && [cell[across] ?? 0, cell[down] ?? 0];
}

function meets(low: number, high: number, at = 0): boolean {
  return low <= at && at < high;
}

/** The axes of a section, and where it cuts. */
export function titleOf([across, down, through]: Section, cut: Voxel): string {
  const [right, below, along] = [across, down, through].map((axis) => "xyz"[axis]);
  return `${right} \u2192 ${below} \u2193, ${along} = ${cut[through]}`;
}

class SectionDrawings implements Drawings {
  readonly photo: Slices;
  readonly below: HTMLElement;
  readonly #host: Host;
  readonly #panes: Pane[];
  readonly #slider = html("input", "", { type: "range", min: 0, step: 1, "aria-label": "Cell along z" });
  readonly #at = html("output", "");

  constructor(host: Host) {
    this.#host = host;
    this.photo = new Slices();
    this.#panes = [0, 1, 2].map(() => new Pane());
    this.below = html("label", "rfwidget-line-of rfwidget-through", {}, ["z", this.#slider, this.#at]);
    this.#slider.addEventListener("input", () => this.#move(2, Number(this.#slider.value), true));
  }

  get elements(): Element[] {
    return this.#panes.map(({ element }) => element);
  }

  draw(stage: Stage, hovered: Cell | null, told: Edges | null, compared: Compared | null): void {
    const host = this.#host;
    const volume = host.get("volume");
    this.#drawSlider();
    if (!volume) return;
    const cut = cutOf(host, volume);
    volume.sections.forEach((section, k) => {
      const pane = this.#panes[k];
      const there = compared && flatField(section, compared.field);
      const names = k ? { layer: "", other: "" } : { layer: compared?.layer ?? "", other: compared?.other ?? "" };
      const beside =
        compared && there ? { field: there, cell: flatCell(section, compared.cell) ?? [0, 0], ...names } : null;
      const own = paneStage(stage, volume, section);
      pane?.settle(own, stage, volume, section);
      pane?.marks.draw(
        own,
        flatField(section, host.get("field")),
        flatCell(section, host.selected),
        flatCell(section, hovered),
        told && flatBox(section, told),
        beside,
      );
      pane?.drawCut(own, section, cut);
    });
  }

  drawFound(stage: Stage, asked: Asked | null): void {
    const volume = this.#host.get("volume");
    if (!volume) return;
    const cut = cutOf(this.#host, volume);
    volume.sections.forEach((section, k) => {
      const [across, down, through] = section;
      const [low, high] = (asked && pairsOf(asked.box)[through]) ?? [0, 0];
      const cells = asked && countOf(asked.cells) ? [asked.cells[across] ?? [], asked.cells[down] ?? []] : [[], []];
      const found = this.#panes[k]?.found;
      const here = asked && { box: flatBox(section, asked.box), cells };
      found?.draw(paneStage(stage, volume, section), flatField(section, this.#host.get("field")), here);
      found?.element.classList.toggle("rfwidget-faint", !meets(low, high, cut[through]));
    });
  }

  /** Boxes that a section does not meet are faint. */
  drawScene(scene: Element): void {
    const volume = this.#host.get("volume");
    const cut = volume && cutOf(this.#host, volume);
    for (const line of scene.querySelectorAll("[data-through]")) {
      const [axis = 0, low = 0, high = 0] = (line.getAttribute("data-through") ?? "").split(",").map(Number);
      line.classList.toggle("rfwidget-faint", !meets(low, high, cut?.[axis]));
    }
  }

  /** The wheel with Alt goes through the section under it. */
  listen(root: HTMLElement, signal: AbortSignal): void {
    let turned = 0;
    const wheel = (event: WheelEvent) => {
      const volume = this.#host.get("volume");
      if (!event.altKey || event.ctrlKey || event.metaKey || !volume) return;
      event.preventDefault();
      event.stopPropagation();
      turned += event.deltaY || event.deltaX;
      const steps = Math.trunc(turned / NOTCH);
      turned -= steps * NOTCH;
      if (!steps) return;
      const { left, top, width, height } = root.getBoundingClientRect();
      const [wide, high] = this.#host.get("image_size");
      const at: Place = [((event.clientX - left) / width) * wide, ((event.clientY - top) / height) * high];
      this.#move(sectionAt(volume, at)[2], steps);
    };
    root.addEventListener("wheel", wheel, { signal, passive: false });
  }

  /** Selects the cell some cells further along an axis, or at a place along it. */
  #move(axis: number, by: number, to = false): void {
    const host = this.#host;
    const grid = host.get("grid");
    const from = host.selected ?? middleOf(grid);
    if (!cellsIn(grid)) return;
    const steps = [0, 0, 0];
    steps[axis] = to ? by - (from[axis] ?? 0) : by;
    const cell = moved(from, steps, grid);
    if (!sameCell(cell, host.selected)) host.request(cell);
  }

  #drawSlider(): void {
    const count = this.#host.get("grid")[2] ?? 1;
    const at = this.#host.selected?.[2];
    show(this.below, count > 1);
    assign(this.#slider, { max: count - 1 });
    if (at !== undefined && this.#slider.value !== `${at}`) this.#slider.value = `${at}`;
    say(this.#at, at === undefined ? "" : `${at} of ${count}`);
  }
}

/** The stage of one section: half the gap around it is room for what overhangs. */
function paneStage(stage: Stage, volume: Volume, [across, down]: Section): Stage {
  const half = roomOf(volume) * stage.scale;
  const image_size: Stage["image_size"] = [volume.size[across] ?? 0, volume.size[down] ?? 0];
  return { image_size, margin: [half, half, half, half], scale: stage.scale, stretch: 1 };
}

/** Half the space between sections, in voxels. */
function roomOf({ size, sections }: Volume): number {
  return ((sections[1]?.[3] ?? size[0]) - size[0]) / 2;
}

/** What is drawn over one section. */
class Pane {
  readonly marks = new Marks();
  readonly found = new QueryMarks();
  readonly #cross = ["rfwidget-halo", "rfwidget-line"].map((layer) => svg("path", layer));
  readonly #title = svg("text", "rfwidget-label");
  readonly #cut = svg("svg", "rfwidget-marks rfwidget-cut", [...this.#cross, this.#title]);
  readonly element = html("div", "rfwidget-pane", { "aria-hidden": "true" }, [
    this.#cut,
    this.marks.element,
    this.found.element,
  ]);

  settle(own: Stage, stage: Stage, volume: Volume, [, , , left, top]: Section): void {
    const half = roomOf(volume) * stage.scale;
    const at = { left: stage.margin[0] + left * stage.scale - half, top: stage.margin[1] + top * stage.scale - half };
    place(this.element, { ...at, ...stageExtent(own) });
  }

  /** Where the other sections cut. */
  drawCut(own: Stage, section: Section, cut: Voxel): void {
    const [across, down] = section;
    const { width, height } = imageExtent(own);
    const [left, top] = own.margin;
    const [x, y] = [left + ((cut[across] ?? 0) + 0.5) * own.scale, top + ((cut[down] ?? 0) + 0.5) * own.scale];
    place(this.#cut, stageExtent(own));
    for (const path of this.#cross) assign(path, { d: `M${x} ${top}v${height}M${left} ${y}h${width}` });
    assign(this.#title, { x: left + 4, y: top + height - 5 });
    say(this.#title, titleOf(section, cut));
  }
}

/** The three sections of the voxels that the page holds, one pixel for each. */
class Slices {
  readonly element = html("canvas", "rfwidget-photo rfwidget-magnified", { "aria-hidden": "true" });
  readonly #decode: Decode;
  #address = "";
  #voxels: Uint32Array | null = null;
  #drawn = "";

  constructor(decode: Decode = decodePicture) {
    this.#decode = decode;
  }

  draw(host: Host, stage: Stage): void {
    const { scene } = host;
    const [left, top] = stage.margin;
    place(this.element, { left, top, ...imageExtent(stage) });
    const volume = host.get("volume");
    if (!scene || !volume) return;
    if (scene.pixels !== this.#address) void this.#load(host, scene, volume);
    else this.#cut(host, scene, volume);
  }

  async #load(host: Host, scene: Scene, volume: Volume): Promise<void> {
    const address = scene.pixels;
    this.#address = address;
    this.#voxels = null;
    const count = volume.size.reduce((count, length) => count * Math.ceil(length / (scene.every ?? 1)), 1);
    const rgba = await this.#decode(address, WIDE, Math.ceil(count / WIDE));
    if (address !== this.#address) return;
    this.#voxels = new Uint32Array(rgba.buffer, rgba.byteOffset, rgba.length >> 2);
    this.#drawn = "";
    this.#cut(host, scene, volume);
  }

  #cut(host: Host, { every = 1 }: Scene, volume: Volume): void {
    const voxels = this.#voxels;
    const cut = cutOf(host, volume);
    const size = host.get("image_size");
    const drawn = [cut, size].join();
    if (!voxels || drawn === this.#drawn) return;
    this.#drawn = drawn;
    fillPixels(this.element, size, slicesOf(voxels, volume, cut, size, every));
  }
}

/** The picture of the sections at a voxel; what lies between them is clear. */
export function slicesOf(
  voxels: Uint32Array,
  { size, sections }: Volume,
  cut: Voxel,
  [width, height]: readonly [number, number],
  every: number,
): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint32Array(width * height);
  const [columns, rows] = size.map((length) => Math.ceil(length / every)) as [number, number, number];
  const at = [...cut];
  for (const [across, down, through, left, top] of sections) {
    at[through] = cut[through] ?? 0;
    const [wide = 0, high = 0] = [size[across], size[down]];
    for (let y = 0; y < high; y++) {
      for (let x = 0; x < wide; x++) {
        at[across] = x;
        at[down] = y;
        const [i = 0, j = 0, k = 0] = at.map((place) => Math.floor(place / every));
        pixels[(top + y) * width + left + x] = voxels[(k * rows + j) * columns + i] ?? 0;
      }
    }
  }
  return new Uint8ClampedArray(pixels.buffer);
}
