// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Cell } from "../protocol.js";
import { FakeModel, placeAt, settled } from "../testing.js";
import { layerPainter } from "../view/painter.js";
import { APART } from "./hints.js";
import { KernelHost, LATE } from "./kernel-host.js";
import { CALM, LOOK, PATIENCE, TIMEOUT } from "./requests.js";

vi.stubGlobal("ImageData", class {});

let model: FakeModel;
let host: KernelHost;
let life: AbortController;

async function open(state: ConstructorParameters<typeof FakeModel>[0] = {}): Promise<HTMLElement> {
  model = new FakeModel(state);
  host = new KernelHost(model.asAnyModel, layerPainter);
  const element = document.createElement("div");
  host.shownIn(element, life.signal);
  await settled();
  return element;
}

beforeEach(() => {
  vi.useFakeTimers();
  life = new AbortController();
});

afterEach(() => {
  life.abort();
  host.close();
  vi.useRealTimers();
});

describe("a click", () => {
  it("sends one request with everything that the kernel needs", async () => {
    await open();
    host.request([20, 5]);
    expect(model.sent).toEqual([{ kind: "request", client: expect.any(String), seq: 1, revision: 1, cell: [20, 5] }]);
    expect(model.last.client.length).toBeLessThanOrEqual(64);
  });

  it("selects at once, and counts as painted when the heat map is on the screen", async () => {
    await open();
    host.request([20, 5]);
    expect(host.selected).toEqual([20, 5]);
    expect(host.activity.state).toBe("busy");
    model.acknowledge();
    model.answer(1);
    expect(host.painted).toBeNull();
    await settled();
    expect(host.painted).toEqual([20, 5]);
    expect(model.stack.layers[1]?.paints).toBeGreaterThan(0);
    expect(host.activity.state).toBe("ready");
  });

  it("tells every view, with the next frame", async () => {
    await open();
    const first = vi.fn();
    const second = vi.fn();
    host.watch(first, life.signal);
    const other = new AbortController();
    host.watch(second, other.signal);
    host.request([20, 5]);
    expect(second).not.toHaveBeenCalled();
    vi.advanceTimersToNextFrame();
    other.abort();
    model.answer(1);
    expect(second).toHaveBeenCalledTimes(1);
    expect(first.mock.calls.length).toBeGreaterThan(1);
  });

  it("sends the pending request before anything is drawn", async () => {
    await open();
    host.request([1, 1]);
    host.request([2, 1]);
    host.request([3, 1]);
    model.answer(1, model.sent[0]);
    expect(model.sent.map(({ cell }) => cell)).toEqual([
      [1, 1],
      [3, 1],
    ]);
    expect(host.selected).toEqual([3, 1]);
    expect(host.picture?.cell).toEqual([1, 1]);
  });
});

describe("an answer", () => {
  it("that is older than the one on show is never painted", async () => {
    await open();
    model.answer(5, { cell: [5, 5] });
    model.answer(4, { cell: [4, 4] });
    await settled();
    expect(host.painted).toEqual([5, 5]);
  });

  it("that comes twice is painted once and ends nothing else", async () => {
    await open();
    host.request([5, 5]);
    const first = model.last;
    model.answer(1, first);
    await settled();
    const syncs = model.stack.layers[1]?.paints;
    host.request([6, 5]);
    model.answer(1, first);
    await settled();
    expect(model.stack.layers[1]?.paints).toBe(syncs);
    expect(host.activity.state).toBe("busy");
    expect(host.selected).toEqual([6, 5]);
    model.answer(2);
    await settled();
    expect(host.painted).toEqual([6, 5]);
  });

  it("of a storm in any order leaves the newest on show", async () => {
    await open();
    let state = 11;
    const random = (below: number) => {
      state = (state * 1103515245 + 12345) % 2147483648;
      return Math.floor((state / 2147483648) * below);
    };
    let newest = 0;
    for (let step = 0; step < 500; step++) {
      const serial = 1 + random(200);
      newest = Math.max(newest, serial);
      model.answer(serial, { client: "other", seq: serial, cell: [serial % 32, serial % 16] });
      expect(host.picture?.serial).toBe(newest);
    }
    await settled();
    expect(host.painted).toEqual([newest % 32, newest % 16]);
  });

  it("of another revision is never painted", async () => {
    await open();
    model.answer(1, { cell: [5, 5], revision: 0 });
    model.answer(2, { cell: [6, 5], revision: 2 });
    await settled();
    expect(host.painted).toBeNull();
    expect(host.picture).toBeNull();
  });

  it("to our request that a new revision has overtaken is asked for again", async () => {
    await open();
    host.request([20, 5]);
    model.change({ revision: 2 });
    model.answer(1, { ...model.last, revision: 1 });
    expect(model.sent.length).toBe(2);
    expect(model.last).toMatchObject({ seq: 2, revision: 2, cell: [20, 5] });
  });

  it("to another page is painted and selected here as well", async () => {
    await open();
    model.answer(1, { client: "other", seq: 9, cell: [7, 3] });
    await settled();
    expect([host.painted, host.selected]).toEqual([
      [7, 3],
      [7, 3],
    ]);
  });

  it("to another page does not end our own request, nor move our selection", async () => {
    await open();
    host.request([20, 5]);
    model.answer(1, { client: "other", seq: 1, cell: [7, 3] });
    expect(host.selected).toEqual([20, 5]);
    expect(host.activity.state).toBe("busy");
    model.answer(2);
    expect(host.selected).toEqual([20, 5]);
    expect(host.activity.state).toBe("ready");
  });

  it("that is superseded leaves the selection to the kernel", async () => {
    await open({ selected: [1, 1] });
    model.answer(1);
    host.request([20, 5]);
    model.emit("msg:custom", { kind: "superseded", client: model.last.client, seq: model.last.seq }, []);
    expect(host.selected).toEqual([1, 1]);
    expect(host.activity.state).toBe("ready");
  });
});

describe("the kernel's state", () => {
  it("of a new revision takes the old heat map away", async () => {
    await open();
    model.answer(1, { cell: [5, 5] });
    await settled();
    model.change({ revision: 2 });
    await settled();
    expect(host.painted).toBeNull();
    expect(model.stack.layers[1]?.calls.at(-1)).toEqual(["restore"]);
    expect(model.stack.layers[1]?.calls.filter(([name]) => name === "drawImage").length).toBe(1);
  });

  it("selects when Python does, but not against a click under way", async () => {
    await open();
    model.change({ selected: [9, 9] });
    expect(host.selected).toEqual([9, 9]);
    host.request([20, 5]);
    model.change({ selected: [8, 8] });
    expect(host.selected).toEqual([20, 5]);
  });

  it("without a selected cell has no heat map", async () => {
    await open({ selected: [5, 5] });
    model.answer(1);
    model.change({ selected: null });
    await settled();
    expect([host.selected, host.picture, host.painted]).toEqual([null, null, null]);
  });

  it("hides and shows the heat map without asking again", async () => {
    await open();
    model.answer(1, { cell: [5, 5] });
    model.change({ show_heat: false });
    await settled();
    expect(host.painted).toBeNull();
    model.change({ show_heat: true, heat_opacity: 0.3 });
    await settled();
    expect(host.painted).toEqual([5, 5]);
    expect(model.stack.layers[1]?.ctx).toMatchObject({ globalAlpha: 0.3 });
    expect(model.sent).toEqual([]);
  });

  it("is repainted when a resize has emptied the layer", async () => {
    await open();
    model.answer(1, { cell: [5, 5] });
    await settled();
    const before = model.stack.layers[1]?.paints ?? 0;
    model.stack.layers[1]?.resized?.();
    await settled();
    expect(model.stack.layers[1]?.paints).toBe(before + 1);
    expect(host.painted).toEqual([5, 5]);
  });

  it("leaves the painting to the views where there is no MultiCanvas", async () => {
    await open({ canvas: "" });
    expect(host.painted).toBeUndefined();
    await open({ canvas: "closed" });
    expect(host.painted).toBeUndefined();
  });

  it("asks for the photograph once where there is no MultiCanvas, and only there", async () => {
    await open();
    expect(model.told).toEqual([]);
    await open({ canvas: "closed" });
    expect(model.told).toEqual([{ kind: "act", name: "scene" }]);
    model.change({ scene: { photo: "data:,a", pixels: "data:,b" } });
    host.shownIn(document.createElement("div"), life.signal);
    await settled();
    expect(model.told).toHaveLength(1);
    expect(host.scene?.photo).toBe("data:,a");
  });

  it("tells that the last view is gone, and not before", async () => {
    await open();
    const other = new AbortController();
    host.shownIn(document.createElement("div"), other.signal);
    other.abort();
    expect(model.told).toEqual([]);
    life.abort();
    expect(model.told).toEqual([{ kind: "act", name: "gone" }]);
  });

  it("asks for the photograph when nobody says what has become of the canvas, and drops it for a canvas that comes late", async () => {
    let arrive = (_canvas: unknown) => {};
    const pending = new Promise((resolve) => {
      arrive = resolve;
    });
    const found = vi.spyOn(FakeModel.prototype, "widget_manager", "get");
    found.mockReturnValue({ kernel: undefined, get_model: () => pending } as never);
    await open();
    found.mockRestore();
    vi.advanceTimersByTime(LATE - 1);
    expect(model.told).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(model.told).toEqual([{ kind: "act", name: "scene" }]);
    model.change({ scene: { photo: "data:,a", pixels: "data:,b" } });
    expect(host.scene?.photo).toBe("data:,a");
    expect(host.painted).toBeUndefined();
    arrive(model.stack);
    await settled();
    expect(host.scene).toBeNull();
    expect(host.painted).toBeNull();
    vi.advanceTimersByTime(2 * LATE);
    expect(model.told).toHaveLength(1);
  });

  it("says of a silent kernel no more than is known where managers know no kernels", async () => {
    await open({ canvas: "" });
    vi.spyOn(model, "widget_manager", "get").mockReturnValue({ get_model: async () => null } as never);
    host.request([20, 5]);
    vi.advanceTimersByTime(PATIENCE + 10 * TIMEOUT);
    const text = "busy: waiting for the kernel; if it is gone, run the cell again";
    expect(host.activity).toMatchObject({ state: "busy", text });
    expect(model.sent.length).toBe(1);
  });

  it("sends no callbacks along where managers know no kernels: marimo would call them", async () => {
    await open({ canvas: "" });
    const send = vi.spyOn(model, "send");
    vi.spyOn(model, "widget_manager", "get").mockReturnValue({ get_model: async () => null } as never);
    host.request([1, 1]);
    expect(send.mock.calls.at(-1)?.[1]).toBeUndefined();
  });
});

describe("after a reload", () => {
  it("the selected cell is asked for once, however many views there are", async () => {
    await open({ selected: [9, 4] });
    host.shownIn(document.createElement("div"), life.signal);
    expect(model.sent).toMatchObject([{ cell: [9, 4] }]);
  });

  it("nothing is asked for where nothing is selected", async () => {
    await open();
    expect(model.sent).toEqual([]);
  });
});

describe("trouble", () => {
  it("in the model is told in words, and the next click works", async () => {
    await open();
    host.request([20, 5]);
    const { client, seq } = model.last;
    const failure = {
      kind: "failure",
      client,
      seq,
      serial: 1,
      revision: 1,
      message: "no <b>memory</b>",
      details: "...",
    };
    model.emit("msg:custom", failure, []);
    expect(host.activity).toEqual({
      state: "error",
      text: "",
      error: { message: "no <b>memory</b>", details: "..." },
    });
    host.request([21, 5]);
    expect(host.activity.state).toBe("busy");
    model.answer(2);
    expect(host.activity).toMatchObject({ state: "ready", error: null });
  });

  it("with one cell takes away the heat map of another", async () => {
    await open();
    model.answer(1, { cell: [5, 5] });
    model.emit("msg:custom", { kind: "failure", client: "", seq: 0, serial: 2, revision: 1 }, []);
    await settled();
    expect(host.painted).toBeNull();
  });

  it("a kernel busy with a cell is waited for", async () => {
    await open();
    host.request([20, 5]);
    vi.advanceTimersByTime(PATIENCE + 10 * TIMEOUT);
    expect(host.activity).toMatchObject({ state: "busy", text: "busy: waiting for the running cell" });
    expect(model.sent.length).toBe(1);
    model.acknowledge();
    model.answer(1);
    expect(host.activity.state).toBe("ready");
  });

  it.each([
    ["an answer to another page", () => model.answer(1, { client: "other", seq: 1, cell: [7, 3] })],
    ["a change of state", () => model.change({ status: "measured" })],
  ])("%s shows a kernel that is alive, so that our request is overdue one day", async (_, live) => {
    await open();
    host.request([20, 5]);
    vi.advanceTimersByTime(10 * TIMEOUT);
    live();
    vi.advanceTimersByTime(TIMEOUT);
    expect(model.sent.map(({ cell }) => cell)).toEqual([
      [20, 5],
      [20, 5],
    ]);
  });

  it("a handler that has run without a word is told from one that has not run yet", async () => {
    await open();
    host.request([20, 5]);
    model.status("busy");
    vi.advanceTimersByTime(10 * TIMEOUT);
    expect(model.sent.length).toBe(1);
    model.status("idle");
    vi.advanceTimersByTime(TIMEOUT);
    expect(model.sent.length).toBe(2);
  });

  it.each([
    ["idle", 2],
    ["busy", 1],
    [undefined, 1],
  ])("with a kernel that JupyterLab calls %s, a request unheard of is sent %i time(s)", async (status, times) => {
    await open();
    model.kernel = status ? { status } : undefined;
    host.request([20, 5]);
    vi.advanceTimersByTime(PATIENCE + 2 * LOOK);
    expect(model.sent.length).toBe(times);
  });

  it("an answer that is lost is asked for again, and given up after that", async () => {
    await open();
    host.request([20, 5]);
    model.acknowledge();
    vi.advanceTimersByTime(TIMEOUT);
    expect(model.sent.length).toBe(2);
    model.acknowledge();
    vi.advanceTimersByTime(TIMEOUT);
    expect(host.activity).toMatchObject({ state: "error", text: "no answer came: click again" });
    model.answer(1);
    expect(host.activity.state).toBe("ready");
  });

  it("a request that cannot be sent shows the lost connection; a message shows that it is back", async () => {
    await open();
    model.reachable = false;
    host.request([20, 5]);
    expect(host.activity.state).toBe("disconnected");
    model.reachable = true;
    model.answer(1, { cell: [5, 5] });
    expect(host.activity.state).toBe("ready");
  });

  it("a kernel that restarts shows by ipywidgets' mark on the views", async () => {
    const box = document.createElement("div");
    box.append(await open());
    host.request([20, 5]);
    model.emit("comm_live_update"); // before the mark: the models are told one after the other
    box.classList.add("jupyter-widgets-disconnected");
    await settled();
    expect(host.activity.state).toBe("disconnected");
    box.classList.remove("jupyter-widgets-disconnected");
    model.emit("comm_live_update");
    await settled();
    expect(host.activity.state).toBe("ready");
  });

  it("a saved notebook without a kernel is disconnected from the start, and asks nothing", async () => {
    model = new FakeModel({ selected: [3, 3] });
    host = new KernelHost(model.asAnyModel, layerPainter);
    const element = document.createElement("div");
    element.className = "jupyter-widgets-disconnected";
    host.shownIn(element, life.signal);
    expect(host.activity.state).toBe("disconnected");
    expect(model.sent).toEqual([]);
  });

  it("malformed messages change nothing", async () => {
    await open();
    for (const content of [null, 1, "answer", {}, { kind: "answer", client: "", seq: 0, box: "x" }])
      model.emit("msg:custom", content, []);
    expect(host.picture).toBeNull();
    expect(host.activity.state).toBe("ready");
  });
});

it("two hosts on two pages have different names", async () => {
  await open();
  host.request([1, 1]);
  const { client } = model.last;
  await open();
  host.request([1, 1]);
  expect(model.last.client).not.toBe(client);
});

it("a closed host neither sends nor tells", async () => {
  await open();
  const told = vi.fn();
  host.request([1, 1]);
  host.watch(told, life.signal);
  host.close();
  model.answer(1);
  vi.advanceTimersByTime(10 * TIMEOUT);
  await settled();
  expect(told).not.toHaveBeenCalled();
  expect(model.sent.length).toBe(1);
  expect(model.listeners).toBe(0);
});

describe("a query", () => {
  it("shows at once and is told to the kernel", async () => {
    await open();
    const changed = vi.fn();
    host.watch(changed, life.signal);
    host.ask([1, 2, 3, 4]);
    expect(host.query).toEqual([1, 2, 3, 4]);
    expect(changed).toHaveBeenCalled();
    host.ask(null);
    expect(model.told).toEqual([
      { kind: "query", box: [1, 2, 3, 4] },
      { kind: "query", box: null },
    ]);
    expect(model.sent).toEqual([]);
  });

  it("set in Python shows as well", async () => {
    await open({ query: [1, 2, 3, 4] });
    expect(host.query).toEqual([1, 2, 3, 4]);
    model.change({ query: [5, 6, 7, 8] });
    expect(host.query).toEqual([5, 6, 7, 8]);
  });

  it("of a kernel that is gone still shows, for the page answers by itself", async () => {
    await open();
    model.reachable = false;
    host.ask([1, 2, 3, 4]);
    expect(host.query).toEqual([1, 2, 3, 4]);
    expect(host.activity.state).toBe("disconnected");
  });
});

it("a layer is chosen by telling the kernel, unless it is on show", async () => {
  await open();
  host.choose("other");
  host.choose("feature_grid");
  expect(model.told).toEqual([{ kind: "layer", name: "other" }]);
  model.change({ state: "busy" }); // the other one is on its way
  host.choose("feature_grid");
  expect(model.told.at(-1)).toEqual({ kind: "layer", name: "feature_grid" });
});

it("controls are set, files handed over and things made by telling the kernel", async () => {
  await open();
  const content = new ArrayBuffer(3);
  host.set("show_dots", false);
  expect(host.upload("photo.jpg", content)).toBe(true);
  expect(model.buffers).toEqual([content]);
  host.act("code");
  host.magnified(true);
  expect(model.told).toEqual([
    { kind: "set", name: "show_dots", value: false },
    { kind: "upload", name: "photo.jpg" },
    { kind: "act", name: "code" },
    { kind: "zoom", zoomed: true },
  ]);
  model.reachable = false;
  expect(host.upload("photo.jpg", content)).toBe(false);
});

describe("what only a page can do", () => {
  const written = vi.spyOn(navigator.clipboard, "writeText").mockResolvedValue();

  beforeEach(() => {
    written.mockClear();
    vi.spyOn(document, "hasFocus").mockReturnValue(true);
  });

  it("is done when the kernel asks for it", async () => {
    await open();
    model.emit("msg:custom", { kind: "copy", text: "RFWidget(model)" }, []);
    expect(written.mock.calls).toEqual([["RFWidget(model)"]]);
    await settled();
    expect(host.copies).toBe(1);
    written.mockRejectedValue(new Error("not allowed"));
    document.execCommand = vi.fn().mockReturnValue(false);
    model.emit("msg:custom", { kind: "copy", text: "RFWidget(model)" }, []);
    await settled();
    expect(host.copies).toBe(1);
  });

  it.each([null, 3, {}, { kind: "download", name: 3 }, { kind: "copy" }, { kind: "ack", client: "a", seq: 1 }])(
    "is not asked for by %j",
    async (content) => {
      const clicked = vi.spyOn(HTMLAnchorElement.prototype, "click");
      await open();
      model.emit("msg:custom", content, [new DataView(new ArrayBuffer(4))]);
      expect([...clicked.mock.calls, ...written.mock.calls]).toEqual([]);
    },
  );
});

describe("live", () => {
  /** Opens the widget where somebody can see it. */
  async function openLive(state: Parameters<typeof open>[0] = {}): Promise<void> {
    const element = await open({ live_cells: 512, ...state });
    document.body.append(element);
    life.signal.addEventListener("abort", () => element.remove());
    placeAt(element, 0, 0, 480, 288);
    vi.advanceTimersByTime(APART);
  }

  it("draws the map under the pointer before the call returns, and the selected one when the pointer leaves", async () => {
    await openLive();
    model.answer(1, { cell: [5, 5] });
    model.sendMaps([
      [6, 5],
      [7, 5],
    ]);
    await settled();
    const sent = model.sent.length;
    const layer = model.stack.layers[1];
    for (const [cell, painted] of [
      [
        [6, 5],
        [6, 5],
      ],
      [
        [7, 5],
        [7, 5],
      ],
      [
        [8, 5],
        [5, 5],
      ],
      [
        [7, 5],
        [7, 5],
      ],
      [null, [5, 5]],
    ] as const) {
      const syncs = layer?.paints ?? 0;
      host.hover(cell);
      expect(layer?.paints).toBe(syncs + 1);
      expect(host.shown?.cell).toEqual(painted);
      await settled();
      expect(host.painted).toEqual(painted);
    }
    expect([host.selected, host.picture?.cell, model.sent.length]).toEqual([[5, 5], [5, 5], sent]);
  });

  it("shows a map that comes while the pointer waits for it", async () => {
    await openLive();
    host.hover([6, 5]);
    model.sendMaps([[6, 5]]);
    await settled();
    expect(host.painted).toEqual([6, 5]);
  });

  it("shows a selected cell at once, and tells the kernel afterwards", async () => {
    await openLive();
    model.sendMaps([[6, 5]]);
    host.hover([0, 0]);
    host.request([6, 5]);
    expect(host.shown).toMatchObject({ cell: [6, 5], full: 2 });
    expect(model.sent).toEqual([]);
    vi.advanceTimersByTime(CALM);
    expect(model.last.cell).toEqual([6, 5]);
    await settled();
    expect(host.painted).toEqual([6, 5]);
    model.answer(1);
    await settled();
    expect([host.painted, host.picture?.milliseconds]).toEqual([[6, 5], 1.5]);
  });

  it("never goes back to a cell that was asked for before", async () => {
    await openLive();
    model.sendMaps([
      [1, 1],
      [2, 1],
    ]);
    host.request([1, 1]);
    vi.advanceTimersByTime(CALM);
    host.request([2, 1]);
    model.answer(1, model.sent[0]);
    await settled();
    expect([host.painted, host.selected]).toEqual([
      [2, 1],
      [2, 1],
    ]);
    vi.advanceTimersByTime(CALM);
    model.answer(2);
    await settled();
    expect([host.painted, host.activity.state]).toEqual([[2, 1], "ready"]);
  });

  it("follows Python to a cell whose map is there, or to none, wherever the pointer rests", async () => {
    await openLive();
    model.sendMaps([
      [6, 5],
      [7, 5],
    ]);
    host.hover([7, 5]);
    model.change({ selected: [6, 5] });
    await settled();
    expect(host.painted).toEqual([6, 5]);
    host.hover([7, 5]);
    model.change({ selected: [6, 5] });
    await settled();
    expect(host.painted).toEqual([7, 5]);
    model.change({ selected: null });
    await settled();
    expect(host.painted).toBeNull();
  });

  it("drops everything with the revision, and takes no map of another one", async () => {
    await openLive();
    model.sendMaps([[6, 5]]);
    host.hover([6, 5]);
    model.change({ revision: 2 });
    expect([host.live.held, host.shown]).toEqual([0, null]);
    model.sendMaps([[6, 5]], 1);
    expect(host.live.held).toBe(0);
  });

  it("keeps the maps that are nearest to the pointer", async () => {
    await openLive({ live_cells: 4 });
    host.hover([31, 0]);
    for (let x = 0; x < 32; x++) model.sendMaps([[x, 0]]);
    expect(host.live.held).toBeLessThan(4 * 1.2 + 17);
    expect(host.shown?.cell).toEqual([31, 0]);
  });

  it("off, asks for nothing and draws nothing that nobody has asked for", async () => {
    await openLive({ live_cells: 0 });
    model.sendMaps([[6, 5]]);
    host.hover([6, 5]);
    vi.advanceTimersByTime(5000);
    expect([host.shown, host.live.held, model.hints]).toEqual([null, 0, []]);
  });

  it("tells where the pointer is while maps are missing, and nothing once all are there", async () => {
    await openLive({ grid: [2, 2], live_cells: 4 });
    expect(model.hints).toMatchObject([{ cell: [1, 1], came: 0, near: false, shown: true, revision: 1 }]);
    model.heard();
    host.hover([0, 1]);
    vi.advanceTimersByTime(600);
    expect(model.hints.at(-1)).toMatchObject({ cell: [0, 1] });
    model.sendMaps([
      [0, 0],
      [1, 0],
      [0, 1],
      [1, 1],
    ]);
    const count = model.hints.length;
    for (let k = 0; k < 20; k++) {
      host.hover([k % 2, 1]);
      vi.advanceTimersByTime(600);
    }
    expect([model.hints.length, model.sent, model.told]).toEqual([count, [], []]);
  });

  it("tells again where the pointer is when only some cells have room and it has come elsewhere", async () => {
    await openLive({ live_cells: 2 });
    model.sendMaps([
      [16, 8],
      [16, 9],
    ]);
    model.heard();
    const count = model.hints.length;
    vi.advanceTimersByTime(3000);
    expect(model.hints.length).toBe(count);
    host.hover([3, 3]);
    expect(model.hints.at(-1)).toMatchObject({ cell: [3, 3], came: 2, near: true });
  });

  it("tells at once that somebody has come, and later that nobody is near any more", async () => {
    await openLive();
    model.heard();
    expect(model.hints).toMatchObject([{ near: false }]);
    host.hover([3, 3]);
    host.hover([3, 4]);
    expect(model.hints).toMatchObject([{ near: false }, { cell: [3, 3], near: true }]);
    for (let k = 0; k < 10; k++) {
      model.heard();
      vi.advanceTimersByTime(APART);
    }
    expect(model.hints.at(-1)).toMatchObject({ near: true }); // it rests there
    host.hover(null);
    model.heard();
    vi.advanceTimersByTime(APART);
    expect(model.hints.at(-1)).toMatchObject({ near: true });
    for (let k = 0; k < 5; k++) {
      model.heard();
      vi.advanceTimersByTime(APART);
    }
    expect(model.hints.at(-1)).toMatchObject({ near: false });
  });

  it("tells how many maps of a revision have come, wanted or not", async () => {
    await openLive({ live_cells: 2 });
    const cells: Cell[] = Array.from({ length: 30 }, (_, x) => [x, 0]);
    model.sendMaps(cells);
    model.heard();
    host.hover([3, 9]);
    expect(model.hints.at(-1)).toMatchObject({ came: 30 });
    model.change({ revision: 2 });
    model.heard();
    vi.advanceTimersByTime(APART);
    expect(model.hints.at(-1)).toMatchObject({ came: 0, revision: 2 });
  });

  it("says nothing where nobody can see the widget", async () => {
    await open({ live_cells: 512 });
    vi.advanceTimersByTime(5000);
    expect(model.hints).toEqual([]);
  });

  it("counts the maps for the views a few times a second at most", async () => {
    await openLive();
    const changed = vi.fn();
    host.watch(changed, life.signal);
    for (let x = 0; x < 20; x++) model.sendMaps([[x, 0]]);
    vi.advanceTimersByTime(300);
    expect(changed).toHaveBeenCalledTimes(1);
    expect(host.live).toEqual({ held: 20, wanted: 512, cells: 512, coarse: false });
  });

  it("tries again when a hint finds no connection, and calls nothing disconnected for it", async () => {
    await openLive();
    model.heard();
    model.reachable = false;
    vi.advanceTimersByTime(3 * APART);
    const count = model.hints.length;
    expect(host.activity.state).toBe("ready");
    model.reachable = true;
    vi.advanceTimersByTime(2 * APART);
    expect(model.hints.length).toBe(count + 1);
  });

  it("goes on with the maps that are there when the kernel has gone", async () => {
    await openLive();
    model.sendMaps([[6, 5]]);
    model.reachable = false;
    host.request([3, 3]);
    host.hover([6, 5]);
    expect([host.shown?.cell, host.activity.state]).toEqual([[6, 5], "disconnected"]);
  });
});
