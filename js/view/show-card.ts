/** What is shown: chips that are legend and switch in one; and how the gradient map is coloured, with its values. */

import type { Host } from "../hosts/host.js";
import type { Live } from "../hosts/resident.js";
import type { Controls, Tick } from "../protocol.js";
import { ColourBar } from "./colour-bar.js";
import { assign, button, choices, heading, html, option, say, show, style } from "./dom.js";

/** The control that a chip sets; what it draws of it stands in overlay.css. */
type Chip = "show_heat" | "asking" | { [K in keyof Controls]: Controls[K] extends boolean ? K : never }[keyof Controls];

const CHIPS: readonly Chip[] = [
  ...(["show_first", "show_central", "show_last", "show_dots", "show_heat", "spotlight", "show_erf"] as const),
  ...(["asking", "show_naive", "show_pixels", "live"] as const),
];

const SCALES: readonly (readonly [value: string, words: string])[] = [
  ["linear", "linear"],
  ["sqrt", "square root"],
  ["log", "logarithm"],
  ["percentile", "percentile"],
];

/** As `AUTOMATIC` in rfwidget/widget/controls.py. */
const AUTOMATIC = "automatic";

const NO_LAYER = "no other layer";

export class ShowCard {
  readonly element: HTMLElement;
  /** How the gradient map is coloured: a card of its own, beside the feature map. */
  readonly colouring: HTMLElement;
  readonly #host: Host;
  readonly #chips: readonly (readonly [Chip, HTMLButtonElement])[];
  readonly #opacity = html("input", "", { type: "range", min: 0, max: 1, step: 0.05, "aria-label": "Opacity" });
  readonly #sign = html("select", "", { "aria-label": "Sign" }, [
    option("magnitude", "magnitude"),
    option("signed", "signed"),
  ]);
  readonly #scale = html(
    "select",
    "",
    { "aria-label": "Scale" },
    SCALES.map(([value, words]) => option(words, value)),
  );
  readonly #map = html("select", "", { "aria-label": "Map" });
  readonly #mapName = new Text();
  readonly #colours = html("select", "", { "aria-label": "Colours" });
  readonly #compare = html("select", "rfwidget-compare", { "aria-label": "Compare" });
  readonly #bands = html("input", "", { type: "text", size: 8, "aria-label": "Bands" });
  readonly #bandRow = html("label", "rfwidget-line-of", {}, ["bands shown ", this.#bands]);
  readonly #compareRow = html("label", "rfwidget-line-of", {}, ["compare with ", this.#compare]);
  readonly #bar = new ColourBar(false);

  constructor(host: Host, signal: AbortSignal) {
    this.#host = host;
    this.#chips = CHIPS.map((name) => [name, chipButton(name, host.get("words").labels[name])] as const);
    for (const [name, chip] of this.#chips) {
      const press = () => host.set(name, chip.getAttribute("aria-pressed") !== "true");
      chip.addEventListener("click", press, { signal });
    }
    const on = (field: HTMLElement, set: () => void) => field.addEventListener("change", set, { signal });
    this.#opacity.addEventListener("input", () => host.set("heat_opacity", Number(this.#opacity.value)), { signal });
    on(this.#sign, () => host.set("signed", this.#sign.value === "signed"));
    on(this.#scale, () => host.set("heat_scale", this.#scale.value));
    on(this.#map, () => host.set("heat_map", this.#map.value));
    on(this.#colours, () => host.set("colormap", this.#colours.value));
    on(this.#compare, () => host.set("compare_layer", this.#compare.selectedIndex ? this.#compare.value : null));
    on(this.#bands, () => host.set("bands", this.#bands.value));
    const head = html("div", "rfwidget-head", {}, [heading("Show"), this.#map]);
    const chips = html(
      "div",
      "rfwidget-chips",
      {},
      this.#chips.map(([, chip]) => chip),
    );
    const opacity = html("div", "rfwidget-line-of", {}, ["opacity", this.#opacity]);
    const fields = html("div", "rfwidget-line-of", {}, [this.#sign, this.#scale, this.#colours]);
    const title = html("div", "rfwidget-head", {}, [heading(this.#mapName)]);
    this.colouring = html("div", "rfwidget-card rfwidget-colouring", {}, [title, opacity, fields, this.#bar.element]);
    this.element = html("div", "rfwidget-card rfwidget-show", {}, [head, chips, this.#compareRow, this.#bandRow]);
  }

  /** The colours of the heat map, with the values at these places; none: there is no map. */
  drawBar(ticks: readonly Tick[]): void {
    const colours = this.#host.get("show_heat") ? this.#host.get("controls")?.colours : null;
    this.#bar.show(colours ?? [], ticks);
  }

  draw(): void {
    const host = this.#host;
    const controls = host.get("controls");
    for (const card of [this.element, this.colouring]) show(card, controls !== null);
    if (!controls) return;
    for (const [name, chip] of this.#chips) {
      const [words, title] = name === "show_heat" ? mapLabel(host, controls.heat_map) : labelOf(host, name);
      const on = name === "show_heat" || name === "asking" ? host.get(name) : controls[name];
      assign(chip, { "aria-pressed": `${on}`, title });
      if (name === "show_dots") say(chip.lastElementChild ?? chip, dotsInWords(controls.dots_every, words));
      if (name === "live") drawLive(chip, host.live, controls.live, words);
      if (name === "show_heat") say(chip.lastElementChild ?? chip, words);
      if (name === "show_heat") style(chip, { "--rfwidget-heat": controls.colours.join() });
      const alone = !controls.actions && (name === "show_erf" || name === "show_pixels");
      show(chip, !alone && words !== "");
    }
    const opacity = `${host.get("heat_opacity")}`;
    if (document.activeElement !== this.#opacity && this.#opacity.value !== opacity) this.#opacity.value = opacity;
    this.#sign.value = controls.signed ? "signed" : "magnitude";
    this.#scale.value = controls.heat_scale;
    show(this.#map, controls.heat_maps.length > 1);
    say(this.#mapName, mapLabel(host, controls.heat_map)[0]);
    choices(this.#map, controls.heat_maps, controls.heat_map, (name) => mapLabel(host, name)[0]);
    choices(this.#colours, controls.colormaps, controls.colormap, (name) =>
      name === AUTOMATIC ? "auto colours" : name,
    );
    const names = host.get("choices").map(([name]) => name);
    choices(this.#compare, [NO_LAYER, ...names], host.get("compare") || NO_LAYER);
    show(this.#compareRow, controls.actions && names.length > 1);
    show(this.#bandRow, controls.actions && controls.band_count > 3);
    if (document.activeElement !== this.#bands) this.#bands.value = controls.bands;
  }
}

type Label = readonly [words: string, title: string];

const labelOf = (host: Host, name: string): Label => host.get("words").labels[name] ?? ["", ""];

const mapLabel = (host: Host, name: string) => labelOf(host, name === "gradient" ? "show_heat" : name);

function chipButton(name: Chip, [words, title] = ["", ""]): HTMLButtonElement {
  const attributes = { title, "aria-pressed": "false", "data-sets": name };
  return button("rfwidget-chip", html("span", "", {}, [words]), attributes);
}

/** "live 64/256" while not all cells are, in few letters, so that nothing beside it moves. */
function drawLive(chip: HTMLElement, live: Live, on: boolean, all: string): void {
  const { wanted, cells, coarse } = live;
  const held = wanted ? live.held : 0;
  const some = on && held < cells;
  const half = on && wanted > 0 && coarse;
  const words = `${all}${some ? ` ${held}/${cells}` : ""}${half ? " \u00bd" : ""}`;
  say(chip.lastElementChild ?? chip, words);
  // It begins with what is seen: people who speak to their computer say that.
  assign(chip, { "aria-label": `${words}${some ? " cells" : ""}${half ? ", at half the resolution" : ""}` });
}

/** Said once, when all gradient maps are there that there are going to be. */
export function allInWords({ held, wanted, cells }: Live): string {
  const most = Math.min(wanted, cells);
  if (!most || held < most) return "";
  return held < cells ? `the nearest ${most} of ${cells} cells are live` : `all ${cells} cells are live`;
}

/** "every 3rd centre", where not all are drawn. */
export function dotsInWords(every: number, all: string): string {
  if (every < 2) return all;
  const ending = every % 100 > 10 && every % 100 < 14 ? "th" : (["th", "st", "nd", "rd"][every % 10] ?? "th");
  return `every ${every}${ending} centre`;
}
