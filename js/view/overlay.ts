/**
 * The overlay on a page: builds its elements, listens to pointer and keys, and shows what a host knows.
 *
 * A host is whoever owns the state and answers requests: a kernel (kernel-host.ts) or a page with embedded pictures
 * (page-host.ts). This module knows neither.
 */

import { boxBetween, type Cells, cellAt, centreOf, covering, describe, inGrid, rectOf, sameCell } from "../geometry.js";
import type { Host } from "../hosts/host.js";
import type { Box, Cell, Picture } from "../protocol.js";
import { trackBox } from "./box-pointer.js";
import { ContourMarks } from "./contours.js";
import { assign, html, place, toggle } from "./dom.js";
import { FeatureMapView } from "./feature-map.js";
import { HeatCanvas } from "./heat.js";
import { keyAction, trackKeys } from "./keys.js";
import { type Compared, Marks } from "./marks.js";
import { trackPointer } from "./pointer.js";
import { answerInWords, remembering } from "./query.js";
import { QueryMarks } from "./query-marks.js";
import { Readout } from "./readout.js";
import { imageExtent, type Stage, stageExtent, stageOf } from "./stage.js";
import { LayerStrip } from "./strip.js";

const HELP =
  "Arrow keys move to the next cell, with Shift five cells; Home and End go to the corners; Enter draws the cell anew; " +
  "Q asks which cells see the centre of the selected one's field, as a click with Shift does for any pixel; Escape ends " +
  "that; Escape and Tab leave.";

/** Shows a host in an element, until the signal aborts. */
export function mount(element: HTMLElement, host: Host, signal: AbortSignal): void {
  const view = new View(host, signal);
  element.append(view.element);
  signal.addEventListener("abort", () => view.element.remove());
}

class View {
  readonly element: HTMLElement;
  readonly #host: Host;
  readonly #root: HTMLElement;
  readonly #area: HTMLElement;
  readonly #heat = new HeatCanvas();
  readonly #marks = new Marks();
  readonly #map: FeatureMapView;
  readonly #found = new QueryMarks();
  readonly #contours = new ContourMarks();
  readonly #readout = new Readout();
  readonly #strip: LayerStrip;
  // Many layers have many cells, and the mouse moves often.
  readonly #covering = remembering(covering);
  readonly #words = remembering(answerInWords);
  #hovered: Cell | null = null;
  /** The box that is being drawn. */
  #draft: Box | null = null;

  constructor(host: Host, signal: AbortSignal) {
    this.#host = host;
    this.#root = html("div", "rfwidget-overlay", {
      tabindex: 0,
      role: "application",
      "aria-roledescription": "receptive field map",
      "aria-description": HELP,
    });
    const pointer = {
      hover: (cell: Cell | null) => this.#hover(cell),
      press: (cell: Cell) => host.request(cell),
      scrub: (cell: Cell) => host.request(cell),
    };
    this.#map = new FeatureMapView(pointer, signal);
    this.#strip = new LayerStrip((name) => host.choose(name), signal);
    const drawings = [this.#contours, this.#marks, this.#found].map(({ element }) => element);
    drawings.push(this.#contours.labels);
    this.#area = html("div", "rfwidget-area", {}, [this.#heat.element, ...drawings, this.#root]);
    const row = html("div", "rfwidget-row", {}, [this.#area, this.#map.element]);
    this.element = html("div", "rfwidget-view", {}, [row, this.#readout.element, this.#strip.element]);

    // Either of the two trackers takes a press.
    const asks = (event: PointerEvent) => event.shiftKey || host.get("asking");
    const selects = (event: PointerEvent) => !asks(event);
    trackPointer(this.#root, { ...pointer, selects, cellAt: (fraction) => this.#cellAt(fraction) }, signal);
    const box = {
      asks,
      image: () => host.get("image_size"),
      draft: (box: Box | null) => this.#draw(box),
      done: (box: Box) => host.ask(box),
    };
    trackBox(this.#root, box, signal);
    const isRoot = (target: EventTarget | undefined) => target === this.#root;
    trackKeys(isRoot, (event) => this.#key(event), signal);
    host.watch(() => this.#update(), signal);
    this.#update();
  }

  #cellAt([x, y]: readonly [number, number]): Cell | null {
    const field = this.#host.get("field");
    const grid = this.#host.get("grid");
    const [width, height] = this.#host.get("image_size");
    return field && inGrid([0, 0], grid) ? cellAt(field, grid, [x * width, y * height]) : null;
  }

  #hover(cell: Cell | null): void {
    if (sameCell(cell, this.#hovered)) return;
    this.#hovered = cell;
    this.#drawMarks();
    this.#report();
  }

  #key(event: KeyboardEvent): void {
    const action = keyAction(event, this.#host.selected, this.#host.get("grid"));
    if (action.kind === "select") this.#host.request(action.cell);
    if (action.kind === "query") this.#askAt(action.cell);
    if (action.kind === "leave" && this.#host.query) this.#host.ask(null);
    else if (action.kind === "leave") leave(this.#root);
  }

  /** Asks about the pixel in the centre of a cell's field. */
  #askAt(cell: Cell): void {
    const field = this.#host.get("field");
    if (!field) return;
    const centre = centreOf(field, cell);
    this.#host.ask(boxBetween(centre, centre, this.#host.get("image_size")));
  }

  #draw(box: Box | null): void {
    this.#draft = box;
    this.#drawFound();
    this.#report();
  }

  #update(): void {
    const host = this.#host;
    const stage = this.#stage;
    const [left, top] = stage.margin;
    place(this.#area, stageExtent(stage));
    place(this.#root, { left, top, ...imageExtent(stage) });
    this.#heat.draw(host);
    this.#map.draw(host.get("feature_map"), stage, host.get("layer"));
    this.#drawMarks();
    this.#report();
    this.#strip.draw({
      layers: host.get("layers"),
      layer: host.get("layer"),
      image: stage.image_size,
      offered: host.offered,
      query: host.query,
      background: host.get("background"),
    });
    const grid = host.get("grid");
    const painted = host.painted === undefined ? this.#heat.cell : host.painted;
    assign(this.#root, {
      "aria-label": host.get("label") || "Receptive fields",
      "data-grid": grid.join("x"),
      "data-state": host.activity.state,
    });
    toggle(this.#root, "aria-busy", host.activity.state === "busy" ? "true" : null);
    toggle(this.#root, "data-selected", host.selected?.join(",") ?? null);
    toggle(this.#root, "data-painted", painted?.join(",") ?? null);
    toggle(this.#root, "data-asking", host.get("asking") ? "" : null);
    toggle(this.#root, "data-query", host.query?.join(",") ?? null);
  }

  #drawMarks(): void {
    const { selected } = this.#host;
    const contours = this.#host.get("contours");
    const told = this.#pictureOf(selected)?.rect ?? null;
    this.#marks.draw(this.#stage, this.#host.get("field"), selected, this.#hovered, told, this.#compared);
    this.#contours.draw(this.#stage, contours, selected);
    this.#map.mark(selected, this.#hovered);
    this.#drawFound();
  }

  #drawFound(): void {
    const asked = this.#asked;
    this.#found.draw(this.#stage, this.#host.get("field"), asked);
    this.#map.markFound(asked?.cells ?? null);
  }

  /** The box asked about, or being drawn, and the cells that hold it. */
  get #asked(): { box: Box; cells: Cells } | null {
    const box = this.#draft ?? this.#host.query;
    const field = this.#host.get("field");
    return box && field && { box, cells: this.#covering(field, this.#host.get("grid"), box) };
  }

  /** The cell of the layer to compare with whose field is centred nearest to the selected one's. */
  get #compared(): Compared | null {
    const { selected } = this.#host;
    const field = this.#host.get("field");
    const other = this.#host.get("layers").find(({ name }) => name === this.#host.get("compare"));
    if (!selected || !field || !other?.field) return null;
    const cell = cellAt(other.field, other.grid, centreOf(field, selected));
    return { field: other.field, cell, layer: this.#host.get("layer"), other: other.name };
  }

  #report(): void {
    const { selected, activity } = this.#host;
    const picture = this.#pictureOf(selected);
    const chosen = selected ? this.#describe(selected, picture) : "";
    const asked = this.#asked;
    this.#readout.show({
      hovered: this.#hovered ? this.#describe(this.#hovered, null) : "",
      selected: chosen || activity.text,
      detail: picture && Number.isFinite(picture.milliseconds) ? `${picture.milliseconds.toFixed(1)} ms` : "",
      answer: asked ? this.#words(asked.box, asked.cells, this.#host.get("layer"), this.#host.get("layers")) : "",
      activity: chosen ? activity.text : "",
      progress: this.#host.get("progress"),
      error: activity.error,
    });
  }

  /** The heat map on show, if it is that cell's. */
  #pictureOf(cell: Cell | null): Picture | null {
    const { picture } = this.#host;
    return picture && sameCell(picture.cell, cell) ? picture : null;
  }

  #describe(cell: Cell, picture: Picture | null): string {
    const field = this.#host.get("field");
    const rect = picture?.rect ?? (field && rectOf(field, cell));
    return `cell (${cell[0]}, ${cell[1]})${rect ? `: ${describe(rect)}` : ""}`;
  }

  get #stage(): Stage {
    return stageOf(this.#host);
  }
}

/** Gives the focus back to what holds the widget, such as the notebook's cell, so that its keys work again. */
function leave(element: HTMLElement): void {
  element.blur();
  element.parentElement?.closest<HTMLElement>("[tabindex]")?.focus({ preventScroll: true });
}
