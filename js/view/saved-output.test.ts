// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, it } from "vitest";
import { hideSavedOutput, isSavedOutput } from "./saved-output.js";

const png = (text: string) =>
  `data:image/png;base64,${btoa(`\x89PNG....IHDR..............tEXt${text}${"x".repeat(300)}`)}`;
const STILL = png("Software\0rfwidget");
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

it("a still is told by its mark", () => {
  expect(isSavedOutput(STILL)).toBe(true);
  expect(isSavedOutput(OTHER)).toBe(false);
  expect(isSavedOutput("data:image/png;base64,&&&")).toBe(false);
  expect(isSavedOutput("figure.png")).toBe(false);
});

it("the still below the view is hidden as long as the view lives", () => {
  const still = output(image(STILL));
  hideSavedOutput(view, life.signal);
  expect(still.style.display).toBe("none");
  life.abort();
  expect(still.style.display).toBe("");
});

it("a still that is written, or rendered, after the view is hidden too", async () => {
  hideSavedOutput(view, life.signal);
  const still = output();
  await observed();
  expect(still.style.display).toBe("");
  still.append(image(STILL));
  await observed();
  expect(still.style.display).toBe("none");
});

it("a still that is renewed in a new place is hidden again", async () => {
  const still = output(image(STILL));
  hideSavedOutput(view, life.signal);
  still.remove();
  const renewed = output(image(STILL));
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
