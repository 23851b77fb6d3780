/**
 * The card of the feature map: the layer's output as a small picture with the same cells marked, and those that a query
 * found; its colours in numbers; and which channel it is, by steps or from a sheet of pictures.
 */

import { type Cells, cellAtFraction, clamp } from "../geometry.js";
import type { Host } from "../hosts/host.js";
import { bytesOf, type Cell, type FeatureMap, type SyncedState, type Thumbnails } from "../protocol.js";
import { ColourBar, ticksOf } from "./colour-bar.js";
import { assign, button, heading, html, place, say, show, style, svg } from "./dom.js";
import { fillPixels } from "./painter.js";
import { type PointerOptions, trackPointer } from "./pointer.js";

/** CSS pixels: as wide and as high as the picture gets, and as large as one cell gets. */
const ROOM: Cell = [216, 196];
const LARGEST_CELL = 16;
/** CSS pixels: height of the one row of a signal's cells. */
const ROW = 28;

export class FeatureMapView {
  readonly element: HTMLElement;
  readonly #host: Host;
  readonly #canvas = html("canvas", "rfwidget-map-picture");
  readonly #selected = frame("rfwidget-map-selected");
  readonly #hovered = frame("rfwidget-map-hovered");
  readonly #found = svg("path", "rfwidget-map-found");
  readonly #marks = svg("svg", "rfwidget-map-marks", [this.#found, ...this.#hovered, ...this.#selected]);
  readonly #surface: HTMLElement;
  readonly #bar = new ColourBar(true);
  readonly #channel: HTMLElement;
  readonly #which = button("rfwidget-link", "", { "aria-expanded": "false" });
  readonly #sheet = html("div", "rfwidget-sheet", { role: "group", "aria-label": "Channels" });
  readonly #number = html("input", "rfwidget-number", { type: "number", min: 0, "aria-label": "Channel" });
  #shown: FeatureMap | null = null;
  #plane = 0;
  #pictures: Thumbnails | null = null;
  #grid: Cell = [0, 0];

  constructor(host: Host, options: Omit<PointerOptions, "cellAt">, signal: AbortSignal) {
    this.#host = host;
    this.#surface = html("div", "rfwidget-map-surface", { role: "img" }, [this.#canvas, this.#marks]);
    const step = (words: string, title: string, by: number) => {
      const made = button("rfwidget-link", words, { title, "aria-label": title });
      made.addEventListener("click", () => this.#step(by), { signal });
      return made;
    };
    this.#channel = html("span", "rfwidget-channel", {}, [
      step("\u2039", "Previous channel", -1),
      this.#which,
      step("\u203a", "Next channel", 1),
    ]);
    const head = html("div", "rfwidget-head", {}, [heading("Feature map"), this.#channel]);
    const picture = html("div", "rfwidget-map-row", {}, [this.#surface, this.#bar.element]);
    this.element = html("div", "rfwidget-card rfwidget-map", {}, [head, picture, this.#sheet]);
    this.#sheet.hidden = true;
    this.#which.addEventListener("click", () => this.#toggleSheet(), { signal });
    this.#number.addEventListener("change", () => this.#choose(Number(this.#number.value)), { signal });
    const cellAt = (fraction: readonly [number, number]) => cellAtFraction(this.#grid, fraction);
    trackPointer(this.#surface, { ...options, cellAt }, signal);
  }

  /** Of a volume's map it shows a plane. */
  draw(map: SyncedState["feature_map"], layer: string, plane: number): void {
    show(this.element, map !== null);
    if (!map) return;
    const controls = this.#host.get("controls");
    this.#grid = map.size;
    const [width, height] = map.size;
    const room = Math.min(ROOM[0] / width, ROOM[1] / height, LARGEST_CELL);
    const cell = room > 1 ? Math.floor(room) : room;
    // The one row of a signal's cells is drawn higher than it is, to be seen and hit.
    const high = this.#host.get("axes") === 1 ? ROW : height * cell;
    place(this.#surface, { width: width * cell, height: high });
    assign(this.#surface, { "aria-label": `Output of ${layer || "the layer"}, ${width} by ${height} cells` });
    assign(this.#marks, { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none" });
    if (map !== this.#shown || plane !== this.#plane) {
      const area = 4 * width * height;
      fillPixels(this.#canvas, map.size, bytesOf(map.rgba).slice(plane * area, (plane + 1) * area));
    }
    [this.#shown, this.#plane] = [map, plane];
    this.#bar.show(controls?.map_colours ?? [], ticksOf(map.range));
    style(this.#bar.element, { height: `${Math.max(high, 60)}px` });
    show(this.#channel, controls?.actions ?? false);
    if (controls) {
      const { channel, channels } = controls;
      say(this.#which, `${channel === null ? `mean of ${channels}` : `channel ${channel} of ${channels}`} \u25be`);
      assign(this.#number, { max: channels - 1 });
      if (document.activeElement !== this.#number) this.#number.value = channel === null ? "" : `${channel}`;
    }
    this.#drawSheet(this.#host.get("thumbnails"));
  }

  mark(selected: Cell | null, hovered: Cell | null): void {
    outline(this.#selected, selected, this.#grid);
    outline(this.#hovered, hovered, this.#grid);
  }

  /** Marks the cells that a query found, each block of neighbours as one area; null: none. */
  markFound(cells: Cells | null): void {
    const [columns, rows] = [runs(cells?.[0] ?? []), runs(cells?.[1] ?? [])];
    const blocks = rows.flatMap(([top, bottom]) =>
      columns.map(([left, right]) => `M${left} ${top}H${right}V${bottom}H${left}Z`),
    );
    assign(this.#found, { d: blocks.join("") });
  }

  /** The mean, then channel 0, 1, ... and round again. */
  #step(by: number): void {
    const controls = this.#host.get("controls");
    if (!controls) return;
    const places = controls.channels + 1;
    const now = controls.channel === null ? 0 : controls.channel + 1;
    const next = (now + by + places) % places;
    this.#choose(next === 0 ? null : next - 1);
  }

  #choose(channel: number | null): void {
    this.#host.set("channel", channel);
  }

  #toggleSheet(): void {
    this.#sheet.hidden = !this.#sheet.hidden;
    assign(this.#which, { "aria-expanded": `${!this.#sheet.hidden}` });
    if (!this.#sheet.hidden) {
      this.#pictures = null;
      this.#drawSheet(this.#host.get("thumbnails"));
      if (!this.#host.get("thumbnails")) this.#host.act("channels");
    }
  }

  #drawSheet(pictures: Thumbnails | null): void {
    if (this.#sheet.hidden) return;
    if (pictures && pictures === this.#pictures) return;
    this.#pictures = pictures;
    const mean = button("rfwidget-link", "mean of all channels");
    mean.addEventListener("click", () => this.#choose(null));
    const close = button("rfwidget-link", "\u2715", { "aria-label": "Close" });
    close.addEventListener("click", () => this.#toggleSheet());
    const label = html("label", "", {}, ["number ", this.#number]);
    const head = html("div", "rfwidget-head", {}, [mean, label, close]);
    const strongest = html(
      "div",
      "rfwidget-thumbnails",
      {},
      pictures ? thumbnails(pictures, (k) => this.#choose(k)) : [],
    );
    const words = pictures ? "strongest first" : "\u2026";
    this.#sheet.replaceChildren(head, html("div", "rfwidget-remark", {}, [words]), strongest);
    if (pictures && !this.#host.get("controls")) this.#sheet.hidden = true;
  }
}

/** A picture to press for each channel. */
function thumbnails({ size, channels, rgba }: Thumbnails, choose: (channel: number) => void): HTMLElement[] {
  const bytes = bytesOf(rgba);
  const length = size[0] * size[1] * 4;
  return channels.map((channel, k) => {
    const canvas = html("canvas", "");
    fillPixels(canvas, size, bytes.slice(k * length, (k + 1) * length));
    const made = button("", canvas, { "aria-label": `Channel ${channel}` });
    made.append(`${channel}`);
    made.addEventListener("click", () => choose(channel));
    return made;
  });
}

/** The frame of a cell: a halo under a line, for a shadow would be drawn anew, and slowly, for every cell. */
function frame(name: string): SVGRectElement[] {
  return ["rfwidget-halo", "rfwidget-line"].map((layer) => svg("rect", `${name} ${layer}`));
}

function outline(frame: readonly SVGRectElement[], cell: Cell | null, grid: Cell): void {
  for (const rectangle of frame) {
    show(rectangle, cell !== null);
    if (!cell) continue;
    const [x, y] = [clamp(cell[0], 0, grid[0] - 1), clamp(cell[1], 0, grid[1] - 1)];
    assign(rectangle, { x, y, width: 1, height: 1 });
  }
}

/** Runs of neighbours among ascending whole numbers, each as its first and the one after its last. */
export function runs(numbers: readonly number[]): [start: number, end: number][] {
  const found: [number, number][] = [];
  for (const number of numbers) {
    const last = found.at(-1);
    if (last?.[1] === number) last[1]++;
    else found.push([number, number + 1]);
  }
  return found;
}
