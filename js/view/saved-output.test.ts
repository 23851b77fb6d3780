// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, it } from "vitest";
import { hideSavedOutput, isSavedOutput } from "./saved-output.js";

const png = (text: string) =>
  `data:image/png;base64,${btoa(`\x89PNG....IHDR..............tEXt${text}${"x".repeat(300)}`)}`;
const SAVED = png("Software\0rfwidget");
const OTHER = png("Software\0Matplotlib");

let area: HTMLElement;
let view: HTMLElement;
let life: AbortController;

function output(child?: HTMLElement): HTMLElement {
  const element = document.createElement("div");
  element.className = "jp-OutputArea-child";
  if (child) element.append(child);
  area.append(element);
  return element;
}

function image(source: string): HTMLImageElement {
  const element = document.createElement("img");
  element.src = source;
  return element;
}

const observed = () => new Promise((resolve) => setTimeout(resolve));

beforeEach(() => {
  life = new AbortController();
  area = document.createElement("div");
  document.body.append(area);
  view = document.createElement("div");
  output(view);
});

afterEach(() => {
  life.abort();
  area.remove();
});

it("a saved output is told by its mark", () => {
  expect(isSavedOutput(SAVED)).toBe(true);
  expect(isSavedOutput(OTHER)).toBe(false);
  expect(isSavedOutput("data:image/png;base64,&&&")).toBe(false);
  expect(isSavedOutput("figure.png")).toBe(false);
});

it("the saved output below the view is hidden as long as the view lives", () => {
  const saved = output(image(SAVED));
  hideSavedOutput(view, life.signal);
  expect(saved.style.display).toBe("none");
  life.abort();
  expect(saved.style.display).toBe("");
});

it("a saved output that is written, or rendered, after the view is hidden too", async () => {
  hideSavedOutput(view, life.signal);
  const saved = output();
  await observed();
  expect(saved.style.display).toBe("");
  saved.append(image(SAVED));
  await observed();
  expect(saved.style.display).toBe("none");
});

it("a saved output that is renewed in a new place is hidden again", async () => {
  const saved = output(image(SAVED));
  hideSavedOutput(view, life.signal);
  saved.remove();
  const renewed = output(image(SAVED));
  await observed();
  expect(renewed.style.display).toBe("none");
});

it("the user's own picture below the view stays", async () => {
  const figure = output(image(OTHER));
  hideSavedOutput(view, life.signal);
  await observed();
  expect(figure.style.display).toBe("");
});

it("outside of a notebook nothing happens", () => {
  const alone = document.createElement("div");
  document.body.append(alone);
  expect(() => hideSavedOutput(alone, life.signal)).not.toThrow();
  alone.remove();
});
