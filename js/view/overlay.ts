/**
 * The widget on a page: builds its elements, listens to pointer and keys, and shows what a host knows.
 *
 * A host is whoever owns the state and answers requests: a kernel (kernel-host.ts) or a page with embedded pictures
 * (page-host.ts). This module knows neither. All parts are laid out by the stage that holds the element (overlay.css): the
 * bar, the picture, the column beside it, the strip of layers.
 */

import { cellAt, cellInWords, centreOf, clamp, covering, describe, fieldOf, middleOf, sameCell } from "../geometry.js";
import type { Host } from "../hosts/host.js";
import type { Cell, Edges, Picture } from "../protocol.js";
import { trackBox } from "./box-pointer.js";
import { duration, reportOn } from "./cell-report.js";
import { assign, html, place, style, toggle } from "./dom.js";
import { FeatureMapView } from "./feature-map.js";
import { HeatCanvas } from "./heat.js";
import { HelpSheet } from "./help.js";
import { keyAction, shieldKeys, trackKeys } from "./keys.js";
import type { Asked, Drawings, Kind, Place } from "./kind.js";
import type { Compared } from "./marks.js";
import { ticksOn } from "./palette.js";
import { trackPointer } from "./pointer.js";
import { answerInWords, remembering } from "./query.js";
import { Readout } from "./readout.js";
import { SceneMarks } from "./scene-marks.js";
import { allInWords, ShowCard } from "./show-card.js";
import { imageExtent, type Layout, layOut, magnified, type Stage, scalesOf, stageExtent, stageOf } from "./stage.js";
import { LayerStrip } from "./strip.js";
import { Toolbar } from "./toolbar.js";
import { panned, trackZoom, WHOLE, type Zoom, zoomed } from "./zoom.js";

/** The stage around the element, which lays everything out. */
const STAGE = ".rfwidget-stage";

/** Shows a host in an element, until the signal aborts. */
export function mount(element: HTMLElement, host: Host, kind: Kind, signal: AbortSignal): void {
  const view = new View(host, kind, signal);
  element.classList.add("rfwidget-host");
  element.append(view.element);
  signal.addEventListener("abort", () => view.element.remove());
}

class View {
  readonly element: HTMLElement;
  readonly #host: Host;
  readonly #root: HTMLElement;
  readonly #sheet: HTMLElement;
  readonly #area: HTMLElement;
  readonly #kind: Kind;
  readonly #drawings: Drawings;
  readonly #scene = new SceneMarks();
  readonly #heat = new HeatCanvas();
  readonly #toolbar: Toolbar;
  readonly #map: FeatureMapView;
  readonly #show: ShowCard;
  readonly #help: HelpSheet;
  readonly #readout = new Readout();
  readonly #strip: LayerStrip;
  // Many layers have many cells, and the mouse moves often.
  readonly #covering = remembering(covering);
  readonly #words = remembering(answerInWords);
  #hovered: Cell | null = null;
  /** The box that is being drawn. */
  #draft: Edges | null = null;
  #zoom: Zoom = WHOLE;
  /** As measured last: reading sizes makes the browser lay out the whole page, too slow for every move of the mouse. */
  #layout: Layout;
  /** Of the widget in CSS pixels, as the browser has told of it last; null: it has not yet. */
  #width: number | null = null;
  /** What went wrong in the page, before the host could hear of it, while which revision was on show. */
  #complaint = { words: "", revision: 0 };

  constructor(host: Host, kind: Kind, signal: AbortSignal) {
    this.#host = host;
    this.#kind = kind;
    this.#drawings = kind.drawings(host);
    this.#layout = layOut(stageOf(host), 0, host.get("height"));
    this.#root = html("div", "rfwidget-overlay", {
      tabindex: 0,
      role: "application",
      "aria-roledescription": "receptive field map",
      "aria-description": host.get("words").keys,
    });
    const pointer = {
      hover: (cell: Cell | null) => this.#hover(cell),
      press: (cell: Cell) => host.request(this.#whole(cell)),
      scrub: (cell: Cell) => host.request(this.#whole(cell)),
    };
    this.#toolbar = new Toolbar(
      host,
      {
        read: kind.files?.read ?? null,
        toggleScreen: () => this.#toggleScreen(),
        help: () => this.#help.toggle(),
        complain: (words) => this.#complain(words),
      },
      signal,
    );
    this.#help = new HelpSheet(host.get("words").help);
    this.#map = new FeatureMapView(host, pointer, signal);
    this.#show = new ShowCard(host, signal);
    this.#strip = new LayerStrip((name) => host.choose(name), signal);
    if (this.#drawings.below) this.#map.element.append(this.#drawings.below);
    const under = [this.#heat.element, this.#scene.element];
    const fade = html("div", "rfwidget-fade");
    const over = [...this.#drawings.elements, fade, this.#scene.tags, this.#root];
    this.#sheet = html("div", "rfwidget-all", {}, [...under, ...over]);
    this.#area = html("div", "rfwidget-area", {}, [this.#sheet]);
    const pair = html("div", "rfwidget-pair", {}, [this.#map.element, this.#show.colouring]);
    const column = html("div", "rfwidget-column", {}, [this.#readout.element, pair, this.#show.element]);
    const parts = [
      this.#toolbar.element,
      this.#area,
      this.#readout.foot,
      column,
      this.#strip.element,
      this.#help.element,
    ];
    this.element = html("div", "rfwidget-view", {}, parts);

    // Either of the two trackers takes a press.
    const asks = (event: PointerEvent) => !event.altKey && (event.shiftKey || host.get("asking"));
    const selects = (event: PointerEvent) => !event.altKey && !asks(event);
    const zoom = {
      zoom: (by: number, at: readonly [number, number]) => this.#zoomTo(zoomed(this.#zoom, by, at, this.#extent)),
      pan: (dx: number, dy: number) => this.#zoomTo(panned(this.#zoom, dx, dy, this.#extent)),
      whole: () => this.#zoomTo(WHOLE),
    };
    trackZoom(this.#area, zoom, signal);
    trackPointer(this.#root, { ...pointer, selects, cellAt: (fraction) => this.#cellAt(fraction) }, signal);
    const box = {
      asks,
      between: (from: Place, to: Place) => kind.between(host, this.#inPixels(from), this.#inPixels(to)),
      draft: (box: Edges | null) => this.#draw(box),
      done: (box: Edges) => host.ask(box),
    };
    this.#drawings.listen?.(this.#root, signal);
    trackBox(this.#root, box, signal);
    this.#root.addEventListener("pointerdown", () => this.#readout.dropHint(), { signal });
    const isRoot = (target: EventTarget | undefined) => target === this.#root;
    trackKeys(isRoot, (event) => this.#key(event), signal);
    const isField = (target: EventTarget | undefined) =>
      target instanceof Element &&
      target !== this.#root &&
      target.getAttribute("role") !== "option" &&
      this.element.contains(target);
    shieldKeys(isField, (event) => this.#fieldKey(event), signal);
    kind.files?.take(this.element, (file) => void this.#toolbar.take(file), signal);
    signal.addEventListener("abort", () => {
      if (this.#zoom.factor > 1) host.magnified(false);
    });
    this.#watchSize(signal);
    host.watch((what) => (what === "heat" ? this.#drawHeat() : this.#update()), signal);
    this.#update();
  }

  /** Lays out anew when the widget gets another width, or fills the screen, until the signal aborts. */
  #watchSize(signal: AbortSignal): void {
    const resized = new ResizeObserver(() => {
      const now = this.#widget?.clientWidth ?? 0;
      if (now === this.#width) return;
      this.#width = now;
      this.#update();
    });
    // The element has no box of its own; the bar has one as soon as it is in the page.
    const arrival = new ResizeObserver(() => {
      const widget = this.#widget;
      if (!widget) return;
      arrival.disconnect();
      resized.observe(widget);
    });
    arrival.observe(this.#toolbar.element);
    document.addEventListener("fullscreenchange", () => this.#update(), { signal });
    signal.addEventListener("abort", () => {
      arrival.disconnect();
      resized.disconnect();
    });
  }

  get #widget(): HTMLElement | null {
    return this.element.closest<HTMLElement>(STAGE);
  }

  #toggleScreen(): void {
    if (document.fullscreenElement) void document.exitFullscreen();
    else void this.#widget?.requestFullscreen().catch(() => this.#complain("this page may not fill the screen"));
  }

  #complain(words: string): void {
    this.#complaint = { words, revision: this.#host.get("revision") };
    this.#report();
  }

  #cellAt(at: Place): Cell | null {
    return this.#kind.cellAt(this.#host, this.#inPixels(at));
  }

  #inPixels([x, y]: Place): Place {
    const [width, height] = this.#host.get("image_size");
    return [x * width, y * height];
  }

  /** A cell of the plane that the feature map shows. */
  #whole(cell: Cell): Cell {
    return [
      ...cell,
      ...(this.#host.selected ?? middleOf(this.#host.get("grid"))).slice(cell.length),
    ] as unknown as Cell;
  }

  #hover(at: Cell | null): void {
    const cell = at && this.#whole(at);
    if (sameCell(cell, this.#hovered)) return;
    this.#hovered = cell;
    this.#host.hover(cell);
    this.#drawHeat();
    this.#drawMarks();
    this.#report();
  }

  #key(event: KeyboardEvent): void {
    const action = keyAction(event, this.#host.selected, this.#host.get("grid"));
    if (action.kind === "select") this.#host.request(action.cell);
    if (action.kind === "query") this.#askAt(action.cell);
    if (action.kind === "help") this.#help.toggle();
    if (action.kind === "zoom") this.#zoomBy(action.factor);
    if (action.kind === "leave" && !this.#help.element.hidden) this.#help.toggle(false);
    else if (action.kind === "leave" && this.#host.query) this.#host.ask(null);
    else if (action.kind === "leave") leave(this.#root);
  }

  #fieldKey(event: KeyboardEvent): void {
    if (this.#toolbar.layers.owns(event.composedPath()[0])) this.#toolbar.layers.key(event);
    else if (!this.#help.element.hidden) this.#help.key(event);
  }

  /** Zooms around the selected cell, or the middle; 0: back to the whole image. */
  #zoomBy(factor: number): void {
    const { selected } = this.#host;
    const field = this.#host.get("field");
    const extent = this.#extent;
    let at: readonly [number, number] = [extent.width / 2, extent.height / 2];
    if (selected && field) {
      const { margin } = this.#stage;
      const [across, down] = scalesOf(this.#stage);
      const [x, y] = this.#kind.placeOf(this.#host, centreOf(field, selected));
      at = [margin[0] + x * across - this.#zoom.x, margin[1] + y * down - this.#zoom.y];
      at = [clamp(at[0], 0, extent.width), clamp(at[1], 0, extent.height)];
    }
    this.#zoomTo(factor === 0 ? WHOLE : zoomed(this.#zoom, factor, at, extent));
  }

  #zoomTo(zoom: Zoom): void {
    const [before, zoomed] = [this.#zoom.factor > 1, zoom.factor > 1];
    this.#zoom = zoom;
    if (zoomed !== before) this.#host.magnified(zoomed);
    this.#update();
  }

  /** Asks about the pixel in the centre of a cell's field. */
  #askAt(cell: Cell): void {
    const field = this.#host.get("field");
    if (!field) return;
    this.#host.ask(this.#kind.pixelAt(this.#host, centreOf(field, cell)));
  }

  #draw(box: Edges | null): void {
    this.#draft = box;
    this.#drawFound();
    this.#report();
  }

  #update(): void {
    const host = this.#host;
    this.#layout = this.#measure();
    this.#layOut();
    const stage = this.#stage;
    const [left, top] = stage.margin;
    place(this.#area, this.#extent);
    place(this.#sheet, { left: -this.#zoom.x, top: -this.#zoom.y, ...stageExtent(stage) });
    place(this.#root, { left, top, ...imageExtent(stage) });
    this.#drawScene(stage);
    this.#toolbar.draw();
    this.#map.draw(host.get("feature_map"), host.get("layer"), this.#plane);
    this.#show.draw();
    this.#drawHeat();
    this.#drawMarks();
    this.#report();
    this.#strip.draw({
      layers: host.get("layers"),
      layer: host.get("layer"),
      image: this.#lengths,
      words: host.get("words"),
      offered: host.offered,
      query: host.query,
      background: host.get("background"),
    });
    const grid = host.get("grid");
    assign(this.#root, {
      "aria-label": host.get("label") || "Receptive fields",
      "data-grid": grid.join("x"),
      "data-state": host.activity.state,
    });
    toggle(this.#root, "aria-busy", host.activity.state === "busy" ? "true" : null);
    toggle(this.#root, "data-selected", host.selected?.join(",") ?? null);
    toggle(this.#root, "data-live", host.live.wanted ? `${host.live.held}` : null);
    toggle(this.#root, "data-asking", host.get("asking") ? "" : null);
    toggle(this.#root, "data-query", host.query?.join(",") ?? null);
  }

  /** Shows the heat map of the selected cell, or of the one under the pointer. */
  #drawHeat(): void {
    const host = this.#host;
    const { shown, spots } = this.#kind.heat(host);
    this.#heat.draw(host, this.#stage, shown, spots);
    const painted = host.painted === undefined ? this.#heat.cell : host.painted;
    toggle(this.#root, "data-painted", painted?.join(",") ?? null);
    this.#show.drawBar(ticksOn(host.get("palette"), host.shown?.full ?? 0));
  }

  /** Tells the stage around everything how large the picture is and what of it is in view; the canvas follows that. */
  #layOut(): void {
    const widget = this.#widget;
    if (!widget) return;
    const { stacked, picture } = this.#layout;
    const extent = this.#extent;
    const { factor, x, y } = this.#zoom;
    widget.toggleAttribute("data-stacked", stacked);
    widget.toggleAttribute("data-zoomed", factor > 1);
    const lengths: Record<string, number> = {
      "picture-width": picture.width,
      "picture-height": picture.height,
      // Not centred by the layout: the picture must not move when a line below it comes or goes.
      above: Math.max(0, (picture.height - extent.height) / 2),
      "stage-width": extent.width,
      "stage-height": extent.height,
      "sheet-width": extent.width * factor,
      "sheet-height": extent.height * factor,
      "sheet-left": x,
      "sheet-top": y,
    };
    for (const [name, value] of Object.entries(lengths)) {
      style(widget, { [`--rfwidget-${name}`]: `${Math.round(value * 100) / 100}px` });
    }
  }

  /** What the page shows itself, where no canvas does. */
  #drawScene(stage: Stage): void {
    const scene = this.#host.scene;
    const controls = this.#host.get("controls");
    const isOn = (part: string) => controls?.[`show_${part}` as "show_dots"] ?? true;
    this.#scene.draw(this.#host.get("marks"), stageOf(this.#host), stage, isOn);
    this.#drawings.drawScene?.(this.#scene.element);
    if (!scene) this.#drawings.photo.element.remove();
    if (!scene) return;
    const { photo } = this.#drawings;
    if (!photo.element.parentNode) this.#sheet.prepend(photo.element);
    photo.draw(this.#host, stage);
  }

  #drawMarks(): void {
    const { selected } = this.#host;
    const told = this.#pictureOf(selected)?.rect ?? null;
    this.#drawings.draw(this.#stage, this.#hovered, told, this.#compared);
    this.#map.mark(selected, this.#hovered);
    this.#drawFound();
  }

  #drawFound(): void {
    const asked = this.#asked;
    this.#drawings.drawFound(this.#stage, asked);
    const cells = asked?.cells ?? null;
    this.#map.markFound(cells?.[2]?.includes(this.#plane) === false ? null : cells);
  }

  /** Of a volume: the plane of the feature map that is shown. */
  get #plane(): number {
    return this.#whole([0, 0])[2] ?? 0;
  }

  /** The box asked about, or being drawn, and the cells that hold it. */
  get #asked(): Asked | null {
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
    const asked = this.#asked;
    this.#readout.show({
      cell: selected && reportOn(selected, this.#host.get("field"), picture, this.#lengths, this.#host.get("words")),
      hovered: this.#hovered ? this.#describe(this.#hovered, null) + this.#coarse(this.#hovered) : "",
      selected: selected ? this.#describe(selected, picture) : "",
      detail: picture ? duration(picture.milliseconds) : "",
      answer: asked ? this.#answer(asked) : "",
      activity: activity.text,
      live: allInWords(this.#host.live),
      progress: this.#host.get("progress"),
      error: activity.error,
      notice:
        (this.#complaint.revision === this.#host.get("revision") && this.#complaint.words) || this.#host.get("notice"),
      input: this.#host.get("input"),
    });
  }

  #answer({ box, cells }: Asked): string {
    return this.#words(
      box,
      cells,
      this.#host.get("layer"),
      this.#host.get("layers"),
      this.#host.get("axes"),
      this.#host.get("words"),
    );
  }

  /** Of what the model takes, along x, y, ... */
  get #lengths(): readonly number[] {
    return this.#host.get("volume")?.size ?? this.#host.get("image_size").slice(0, this.#host.get("axes"));
  }

  /** The heat map on show, if it is that cell's. */
  #pictureOf(cell: Cell | null): Picture | null {
    const { picture } = this.#host;
    return picture && sameCell(picture.cell, cell) ? picture : null;
  }

  /** Says that what is drawn of a cell is not as fine as it could be. */
  #coarse(cell: Cell): string {
    const { shown } = this.#host;
    return shown && shown.step > 1 && sameCell(shown.cell, cell) ? ", shown at half the resolution" : "";
  }

  #describe(cell: Cell, picture: Picture | null): string {
    const field = this.#host.get("field");
    const edges = picture?.rect ?? (field && fieldOf(field, cell));
    const axes = this.#host.get("axes");
    return `cell ${cellInWords(cell, axes)}${edges ? `: ${describe(edges, axes, this.#host.get("words").unit)}` : ""}`;
  }

  #measure(): Layout {
    const widget = this.#widget;
    const stage = stageOf(this.#host);
    if (!widget || document.fullscreenElement !== widget) {
      return layOut(stage, this.#width ?? widget?.clientWidth ?? 0, this.#host.get("height"));
    }
    const taken = this.#toolbar.element.offsetHeight + this.#strip.element.offsetHeight;
    return layOut(stage, widget.clientWidth, Infinity, widget.clientHeight - taken);
  }

  /** Size of the stage in the page, without zoom. */
  get #extent(): { width: number; height: number } {
    return stageExtent(magnified(stageOf(this.#host), this.#layout.factor));
  }

  /** The stage as it is drawn, with zoom. */
  get #stage(): Stage {
    return magnified(stageOf(this.#host), this.#layout.factor * this.#zoom.factor);
  }
}

/** Gives the focus back to what holds the widget, such as the notebook's cell, so that its keys work again. */
function leave(element: HTMLElement): void {
  element.blur();
  element.parentElement?.closest<HTMLElement>("[tabindex]")?.focus({ preventScroll: true });
}
