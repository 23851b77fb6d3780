// @vitest-environment happy-dom
import { beforeEach, expect, it, vi } from "vitest";
import live from "./kernel.js";
import { FakeModel, settled } from "./testing.js";

let arrive: (() => void)[];

beforeEach(() => {
  arrive = [];
  vi.stubGlobal("ImageData", class {});
  vi.stubGlobal(
    "ResizeObserver",
    class {
      constructor(callback: () => void) {
        arrive.push(callback);
      }
      observe() {}
      disconnect() {}
    },
  );
});

/** The widget as anywidget drives it: one model, and a view for each element. */
function load(model: FakeModel): (el: HTMLElement) => () => void {
  const widget = live();
  widget.initialize({ model: model.asAnyModel });
  return (el) => widget.render({ model: model.asAnyModel, el });
}

it("views of one model share its queue and show the same", async () => {
  const model = new FakeModel({ selected: [9, 4] });
  const render = load(model);
  const elements = [document.createElement("div"), document.createElement("div")];
  for (const el of elements) render(el);
  await settled();
  model.answer(1);
  await settled();
  expect(model.sent.length).toBe(1);
  for (const el of elements) {
    expect(el.querySelector<HTMLElement>(".rfwidget-overlay")?.dataset.painted).toBe("9,4");
  }
});

it("a view leaves nothing behind, and the others go on", async () => {
  const model = new FakeModel();
  const render = load(model);
  const [first, second] = [document.createElement("div"), document.createElement("div")];
  const close = render(first);
  render(second);
  close();
  expect(first.childElementCount).toBe(0);
  model.change({ grid: [7, 5] });
  expect(second.querySelector<HTMLElement>(".rfwidget-overlay")?.dataset.grid).toBe("7x5");
});

it("makes a stage of its own where ipywidgets makes none, and takes it away again", () => {
  const model = new FakeModel();
  const [alone, staged] = [document.createElement("div"), document.createElement("div")];
  const stage = document.createElement("div");
  stage.className = "rfwidget-stage";
  stage.append(staged);
  document.body.append(alone, stage);
  const render = load(model);
  const close = render(alone);
  render(staged);
  expect(alone.querySelectorAll(".rfwidget-page > .rfwidget-stage .rfwidget-overlay")).toHaveLength(1);
  expect(staged.querySelector(".rfwidget-stage")).toBeNull();
  close();
  expect(alone.childElementCount).toBe(0);
});

it("sizes are set on the view's own elements, never on the host's", () => {
  const el = document.createElement("div");
  load(new FakeModel())(el);
  expect(el.getAttribute("style")).toBeNull();
});

it("canvases beside the view are inert, also those that come later", async () => {
  const stage = document.createElement("div");
  const canvas = document.createElement("canvas");
  const el = document.createElement("div");
  load(new FakeModel())(el);
  stage.append(canvas, el);
  for (const callback of arrive) callback();
  expect(canvas.inert).toBe(true);
  const later = document.createElement("canvas");
  stage.prepend(later);
  await new Promise((resolve) => setTimeout(resolve));
  expect(later.inert).toBe(true);
  for (const own of el.querySelectorAll("canvas")) expect(own.inert).not.toBe(true);
});
