/**
 * The card of the selected cell in words and numbers, with errors; and the foot of the picture: the cell under the pointer,
 * what is going on, progress, and what the model gets of the image.
 *
 * Screen readers hear selections and what is going on, not what the mouse passes over.
 */

import { assign, heading, html, say, show } from "./dom.js";

/** What the card has to tell. */
export interface Report {
  /** The selected cell; null if there is none. */
  cell: CellReport | null;
  /** The cell under the pointer; "" if there is none. */
  hovered: string;
  /** The selected cell in a sentence; "" if there is none. */
  selected: string;
  /** More about it that is worth seeing but not hearing. */
  detail: string;
  /** Which cells see what was asked about; "" if nothing was. */
  answer: string;
  /** What is going on. */
  activity: string;
  /** That all heat maps are there that there are going to be. */
  live: string;
  /** 0 .. 1, or -1 if nothing is under way. */
  progress: number;
  error: { message: string; details: string } | null;
  /** Why something that was wanted could not be. */
  notice: string;
  /** What the model gets of the image. */
  input: string;
}

/** The selected cell: its coordinates, and what there is to say about it, line by line. */
export interface CellReport {
  name: string;
  lines: readonly (readonly [word: string, value: string, remark: string])[];
}

/** What a first glance needs. */
const HINT = "hover, click, drag; ? for more";

export class Readout {
  readonly element: HTMLElement;
  /** Stands below the picture. */
  readonly foot: HTMLElement;
  readonly #hint = html("span", "rfwidget-hint", { "aria-hidden": "true" }, [HINT]);
  readonly #input = html("div", "rfwidget-input");
  readonly #name = html("div", "rfwidget-cell");
  readonly #facts = html("dl", "rfwidget-facts");
  readonly #hovered = html("span", "rfwidget-hovering", { "aria-hidden": "true" });
  readonly #selected = html("span", "rfwidget-selection rfwidget-unseen");
  readonly #detail = html("span", "rfwidget-detail", { "aria-hidden": "true" });
  readonly #answer = html("span", "rfwidget-answer");
  readonly #activity = html("span", "rfwidget-activity");
  readonly #live = html("span", "rfwidget-unseen");
  readonly #progress = html("progress", "rfwidget-progress", { max: 1, "aria-label": "Progress" });
  readonly #message = html("span", "rfwidget-message");
  readonly #details = html("pre", "rfwidget-traceback", { tabindex: 0 });
  readonly #disclosure = html("details", "", {}, [html("summary", "", {}, ["Details"]), this.#details]);
  readonly #error = html("div", "rfwidget-error", { role: "alert" }, [this.#message, this.#disclosure]);
  readonly #notice = html("div", "rfwidget-notice", { role: "alert" });

  constructor() {
    const spoken = html("span", "rfwidget-spoken", { role: "status", "aria-live": "polite" }, [
      this.#selected,
      this.#answer,
      this.#activity,
      this.#live,
    ]);
    const line = html("div", "rfwidget-status", {}, [this.#hovered, spoken, this.#progress]);
    const parts = [heading("Selected cell", this.#detail), this.#name, this.#facts, this.#error, this.#notice];
    this.element = html("div", "rfwidget-card rfwidget-readout", {}, parts);
    this.foot = html("div", "rfwidget-foot", {}, [this.#hint, line, this.#input]);
  }

  /** The user knows how it goes. */
  dropHint(): void {
    this.#hint.remove();
  }

  show(report: Report): void {
    const { cell, hovered, selected, detail, answer, activity, progress, error, notice } = report;
    show(this.#hint, !hovered && !answer && !activity && progress < 0);
    show(this.#input, answer === ""); // two lines are enough: what was asked about is of more interest
    say(this.#input, report.input);
    assign(this.#input, { title: report.input });
    say(this.#name, cell?.name ?? "\u2013");
    this.#tell(cell?.lines ?? []);
    say(this.#hovered, hovered);
    say(this.#selected, selected);
    say(this.#detail, detail);
    say(this.#answer, answer);
    say(this.#activity, activity);
    say(this.#live, report.live);
    show(this.#progress, progress >= 0);
    if (progress >= 0) this.#progress.value = progress;
    show(this.#error, error !== null);
    say(this.#message, error?.message ?? "");
    say(this.#details, error?.details ?? "");
    show(this.#disclosure, Boolean(error?.details));
    show(this.#notice, notice !== "");
    say(this.#notice, notice);
  }

  #tell(lines: CellReport["lines"]): void {
    const rows = this.#facts.children;
    while (rows.length > 2 * lines.length) rows[rows.length - 1]?.remove();
    while (rows.length < 2 * lines.length) {
      const value = html("dd", "", {}, [html("span", ""), html("span", "rfwidget-remark")]);
      this.#facts.append(html("dt", ""), value);
    }
    lines.forEach(([word, value, remark], k) => {
      const [term, fact] = [rows[2 * k], rows[2 * k + 1]];
      if (term) say(term, word);
      if (fact?.firstElementChild) say(fact.firstElementChild, value);
      if (fact?.lastElementChild) say(fact.lastElementChild, remark);
    });
  }
}
