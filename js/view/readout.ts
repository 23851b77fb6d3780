/**
 * The line below the image: the cell under the pointer or the selected one, what is going on, progress, and errors.
 *
 * Screen readers hear selections and what is going on, not what the mouse passes over.
 */

import { html, say } from "./dom.js";

/** What the line has to tell. */
export interface Report {
  /** The cell under the pointer; "" if there is none. */
  hovered: string;
  /** The selected cell; "" if there is none. */
  selected: string;
  /** More about it that is worth seeing but not hearing. */
  detail: string;
  /** Which cells see what was asked about; "" if nothing was. */
  answer: string;
  /** What is going on. */
  activity: string;
  /** 0 .. 1, or -1 if nothing is under way. */
  progress: number;
  error: { message: string; details: string } | null;
}

export class Readout {
  readonly element: HTMLElement;
  readonly #hovered = html("span", "rfwidget-hovering", { "aria-hidden": "true" });
  readonly #selected = html("span", "rfwidget-selection");
  readonly #detail = html("span", "rfwidget-detail", { "aria-hidden": "true" });
  readonly #answer = html("span", "rfwidget-answer");
  readonly #activity = html("span", "rfwidget-activity");
  readonly #progress = html("progress", "rfwidget-progress", { max: 1, "aria-label": "Progress" });
  readonly #message = html("span", "rfwidget-message");
  readonly #details = html("pre", "rfwidget-traceback");
  readonly #disclosure = html("details", "", {}, [html("summary", "", {}, ["Details"].map(text)), this.#details]);
  readonly #error = html("div", "rfwidget-error", { role: "alert" }, [this.#message, this.#disclosure]);

  constructor() {
    const spoken = html("span", "rfwidget-spoken", { role: "status", "aria-live": "polite" }, [
      this.#selected,
      this.#answer,
      this.#activity,
    ]);
    const line = html("div", "rfwidget-status", {}, [this.#hovered, spoken, this.#detail, this.#progress]);
    this.element = html("div", "rfwidget-readout", {}, [line, this.#error]);
  }

  show({ hovered, selected, detail, answer, activity, progress, error }: Report): void {
    say(this.#hovered, hovered);
    say(this.#selected, selected);
    say(this.#detail, hovered ? "" : detail);
    say(this.#answer, answer);
    say(this.#activity, activity);
    // Hidden from sight alone: a screen reader must not take it for a new selection when it comes back.
    this.#selected.classList.toggle("rfwidget-unseen", hovered !== "");
    this.#progress.hidden = progress < 0;
    if (progress >= 0) this.#progress.value = progress;
    this.#error.hidden = error === null;
    say(this.#message, error?.message ?? "");
    say(this.#details, error?.details ?? "");
    this.#disclosure.hidden = !error?.details;
  }
}

function text(content: string): Text {
  return document.createTextNode(content);
}
