/** A bar of colours with the values at some of its places. */

import type { Tick } from "../protocol.js";
import { html, show } from "./dom.js";

export class ColourBar {
  readonly element: HTMLElement;
  readonly #bar = html("div", "rfwidget-colours");
  readonly #ticks = html("div", "rfwidget-ticks");
  readonly #upright: boolean;
  #shown = "";

  /** Upright, it begins at the bottom; lying, on the left. */
  constructor(upright: boolean) {
    this.#upright = upright;
    const kind = upright ? "rfwidget-upright" : "rfwidget-lying";
    this.element = html("div", `rfwidget-colour-bar ${kind}`, { "aria-hidden": "true" }, [this.#bar, this.#ticks]);
  }

  /** Colours without ticks are those of a map that is not there yet: the bar keeps its place. */
  show(colours: readonly string[], ticks: readonly Tick[]): void {
    show(this.element, colours.length > 0);
    const shown = JSON.stringify([colours, ticks]);
    if (this.element.hidden || shown === this.#shown) return;
    this.#shown = shown;
    const direction = this.#upright ? "to top" : "to right";
    this.#bar.style.backgroundImage = `linear-gradient(${direction}, ${colours.join(", ")})`;
    this.#ticks.replaceChildren(
      ...ticks.map(([place, words]) => {
        const tick = html("span", "", {}, [words]);
        tick.style.setProperty(this.#upright ? "bottom" : "left", `${100 * place}%`);
        const edge = place < 0.1 ? "0" : place > 0.98 ? "100%" : "50%";
        tick.style.translate = this.#upright ? `0 ${edge}` : `-${edge} 0`;
        return tick;
      }),
    );
  }
}

/** Lowest, middle and highest value of a range, as ticks. */
export function ticksOf([low, high]: readonly [number, number]): Tick[] {
  if (low === high) return [[0, short(low)]];
  return [
    [0, short(low)],
    [0.5, short((low + high) / 2)],
    [1, short(high)],
  ];
}

/** A number in a few characters. */
export function short(value: number): string {
  const size = Math.abs(value);
  const words = size === 0 || (size >= 1e-3 && size < 1e4) ? `${Number(value.toPrecision(2))}` : value.toExponential(1);
  return words.replace(/^-/, "\u2212").replace("e+", "e");
}
