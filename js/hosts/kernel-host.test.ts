// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeModel, settled } from "../testing.js";
import { KernelHost } from "./kernel-host.js";
import { LOOK, PATIENCE, TIMEOUT } from "./requests.js";

vi.stubGlobal("ImageData", class {});

let model: FakeModel;
let session: KernelHost;
let life: AbortController;

async function open(state: ConstructorParameters<typeof FakeModel>[0] = {}): Promise<HTMLElement> {
  model = new FakeModel(state);
  session = new KernelHost(model.asAnyModel);
  const element = document.createElement("div");
  session.shownIn(element, life.signal);
  await settled();
  return element;
}

beforeEach(() => {
  vi.useFakeTimers();
  life = new AbortController();
});

afterEach(() => {
  life.abort();
  session.close();
  vi.useRealTimers();
});

describe("a click", () => {
  it("sends one request with everything that the kernel needs", async () => {
    await open();
    session.request([20, 5], "click");
    expect(model.sent).toEqual([
      { kind: "request", client: expect.any(String), seq: 1, revision: 1, cell: [20, 5], reason: "click" },
    ]);
    expect(model.last.client.length).toBeLessThanOrEqual(64);
  });

  it("selects at once, and counts as painted when the heat map is on the screen", async () => {
    await open();
    session.request([20, 5], "click");
    expect(session.selected).toEqual([20, 5]);
    expect(session.activity.state).toBe("busy");
    model.acknowledge();
    model.answer(1);
    expect(session.painted).toBeNull();
    await settled();
    expect(session.painted).toEqual([20, 5]);
    expect(model.stack.layers[1]?.syncs).toBeGreaterThan(0);
    expect(session.activity.state).toBe("ready");
  });

  it("tells every view", async () => {
    await open();
    const first = vi.fn();
    const second = vi.fn();
    session.watch(first, life.signal);
    const other = new AbortController();
    session.watch(second, other.signal);
    session.request([20, 5], "click");
    other.abort();
    model.answer(1);
    expect(second).toHaveBeenCalledTimes(1);
    expect(first.mock.calls.length).toBeGreaterThan(1);
  });

  it("sends the pending request before anything is drawn", async () => {
    await open();
    session.request([1, 1], "scrub");
    session.request([2, 1], "scrub");
    session.request([3, 1], "scrub");
    model.answer(1, model.sent[0]);
    expect(model.sent.map(({ cell }) => cell)).toEqual([
      [1, 1],
      [3, 1],
    ]);
    expect(session.selected).toEqual([3, 1]);
    expect(session.picture?.cell).toEqual([1, 1]);
  });
});

describe("an answer", () => {
  it("that is older than the one on show is never painted", async () => {
    await open();
    model.answer(5, { cell: [5, 5] });
    model.answer(4, { cell: [4, 4] });
    await settled();
    expect(session.painted).toEqual([5, 5]);
  });

  it("that comes twice is painted once and ends nothing else", async () => {
    await open();
    session.request([5, 5], "click");
    const first = model.last;
    model.answer(1, first);
    await settled();
    const syncs = model.stack.layers[1]?.syncs;
    session.request([6, 5], "click");
    model.answer(1, first);
    await settled();
    expect(model.stack.layers[1]?.syncs).toBe(syncs);
    expect(session.activity.state).toBe("busy");
    expect(session.selected).toEqual([6, 5]);
    model.answer(2);
    await settled();
    expect(session.painted).toEqual([6, 5]);
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
      expect(session.picture?.serial).toBe(newest);
    }
    await settled();
    expect(session.painted).toEqual([newest % 32, newest % 16]);
  });

  it("of another revision is never painted", async () => {
    await open();
    model.answer(1, { cell: [5, 5], revision: 0 });
    model.answer(2, { cell: [6, 5], revision: 2 });
    await settled();
    expect(session.painted).toBeNull();
    expect(session.picture).toBeNull();
  });

  it("to our request that a new revision has overtaken is asked for again", async () => {
    await open();
    session.request([20, 5], "click");
    model.change({ revision: 2 });
    model.answer(1, { ...model.last, revision: 1 });
    expect(model.sent.length).toBe(2);
    expect(model.last).toMatchObject({ seq: 2, revision: 2, cell: [20, 5], reason: "refresh" });
  });

  it("to another page is painted and selected here as well", async () => {
    await open();
    model.answer(1, { client: "other", seq: 9, cell: [7, 3] });
    await settled();
    expect([session.painted, session.selected]).toEqual([
      [7, 3],
      [7, 3],
    ]);
  });

  it("to another page does not end our own request, nor move our selection", async () => {
    await open();
    session.request([20, 5], "click");
    model.answer(1, { client: "other", seq: 1, cell: [7, 3] });
    expect(session.selected).toEqual([20, 5]);
    expect(session.activity.state).toBe("busy");
    model.answer(2);
    expect(session.selected).toEqual([20, 5]);
    expect(session.activity.state).toBe("ready");
  });

  it("that is superseded leaves the selection to the kernel", async () => {
    await open({ selected: [1, 1] });
    model.answer(1);
    session.request([20, 5], "click");
    model.emit("msg:custom", { kind: "superseded", client: model.last.client, seq: model.last.seq }, []);
    expect(session.selected).toEqual([1, 1]);
    expect(session.activity.state).toBe("ready");
  });
});

describe("the kernel's state", () => {
  it("of a new revision takes the old heat map away", async () => {
    await open();
    model.answer(1, { cell: [5, 5] });
    await settled();
    model.change({ revision: 2 });
    await settled();
    expect(session.painted).toBeNull();
    expect(model.stack.layers[1]?.calls.at(-1)).toEqual(["restore"]);
    expect(model.stack.layers[1]?.calls.filter(([name]) => name === "drawImage").length).toBe(1);
  });

  it("selects when Python does, but not against a click under way", async () => {
    await open();
    model.change({ selected: [9, 9] });
    expect(session.selected).toEqual([9, 9]);
    session.request([20, 5], "click");
    model.change({ selected: [8, 8] });
    expect(session.selected).toEqual([20, 5]);
  });

  it("without a selected cell has no heat map", async () => {
    await open({ selected: [5, 5] });
    model.answer(1);
    model.change({ selected: null });
    await settled();
    expect([session.selected, session.picture, session.painted]).toEqual([null, null, null]);
  });

  it("hides and shows the heat map without asking again", async () => {
    await open();
    model.answer(1, { cell: [5, 5] });
    model.change({ show_heat: false });
    await settled();
    expect(session.painted).toBeNull();
    model.change({ show_heat: true, heat_opacity: 0.3 });
    await settled();
    expect(session.painted).toEqual([5, 5]);
    expect(model.stack.layers[1]?.ctx).toMatchObject({ globalAlpha: 0.3 });
    expect(model.sent).toEqual([]);
  });

  it("is repainted when a resize has emptied the layer", async () => {
    await open();
    model.answer(1, { cell: [5, 5] });
    await settled();
    const before = model.stack.layers[1]?.syncs ?? 0;
    model.stack.layers[1]?.resized?.();
    await settled();
    expect(model.stack.layers[1]?.syncs).toBe(before + 1);
    expect(session.painted).toEqual([5, 5]);
  });

  it("leaves the painting to the views where there is no MultiCanvas", async () => {
    await open({ canvas: "" });
    expect(session.painted).toBeUndefined();
    await open({ canvas: "closed" });
    expect(session.painted).toBeUndefined();
  });
});

describe("after a reload", () => {
  it("the selected cell is asked for once, however many views there are", async () => {
    await open({ selected: [9, 4] });
    session.shownIn(document.createElement("div"), life.signal);
    expect(model.sent).toMatchObject([{ cell: [9, 4], reason: "refresh" }]);
  });

  it("nothing is asked for where nothing is selected", async () => {
    await open();
    expect(model.sent).toEqual([]);
  });
});

describe("trouble", () => {
  it("in the model is told in words, and the next click works", async () => {
    await open();
    session.request([20, 5], "click");
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
    expect(session.activity).toEqual({
      state: "error",
      text: "",
      error: { message: "no <b>memory</b>", details: "..." },
    });
    session.request([21, 5], "click");
    expect(session.activity.state).toBe("busy");
    model.answer(2);
    expect(session.activity).toMatchObject({ state: "ready", error: null });
  });

  it("with one cell takes away the heat map of another", async () => {
    await open();
    model.answer(1, { cell: [5, 5] });
    model.emit("msg:custom", { kind: "failure", client: "", seq: 0, serial: 2, revision: 1 }, []);
    await settled();
    expect(session.painted).toBeNull();
  });

  it("a kernel busy with a cell is waited for", async () => {
    await open();
    session.request([20, 5], "click");
    vi.advanceTimersByTime(PATIENCE + 10 * TIMEOUT);
    expect(session.activity).toMatchObject({ state: "busy", text: "busy: waiting for the running cell" });
    expect(model.sent.length).toBe(1);
    model.acknowledge();
    model.answer(1);
    expect(session.activity.state).toBe("ready");
  });

  it.each([
    ["an answer to another page", () => model.answer(1, { client: "other", seq: 1, cell: [7, 3] })],
    ["a change of state", () => model.change({ status: "measured" })],
  ])("%s shows a kernel that is alive, so that our request is overdue one day", async (_, live) => {
    await open();
    session.request([20, 5], "click");
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
    session.request([20, 5], "click");
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
    session.request([20, 5], "click");
    vi.advanceTimersByTime(PATIENCE + 2 * LOOK);
    expect(model.sent.length).toBe(times);
  });

  it("an answer that is lost is asked for again, and given up after that", async () => {
    await open();
    session.request([20, 5], "click");
    model.acknowledge();
    vi.advanceTimersByTime(TIMEOUT);
    expect(model.sent.length).toBe(2);
    model.acknowledge();
    vi.advanceTimersByTime(TIMEOUT);
    expect(session.activity).toMatchObject({ state: "error", text: "no answer came: click again" });
    model.answer(1);
    expect(session.activity.state).toBe("ready");
  });

  it("a request that cannot be sent shows the lost connection; a message shows that it is back", async () => {
    await open();
    model.reachable = false;
    session.request([20, 5], "click");
    expect(session.activity.state).toBe("disconnected");
    model.reachable = true;
    model.answer(1, { cell: [5, 5] });
    expect(session.activity.state).toBe("ready");
  });

  it("a kernel that restarts shows by ipywidgets' mark on the views", async () => {
    const box = document.createElement("div");
    box.append(await open());
    session.request([20, 5], "click");
    model.emit("comm_live_update"); // before the mark: the models are told one after the other
    box.classList.add("jupyter-widgets-disconnected");
    await settled();
    expect(session.activity.state).toBe("disconnected");
    box.classList.remove("jupyter-widgets-disconnected");
    model.emit("comm_live_update");
    await settled();
    expect(session.activity.state).toBe("ready");
  });

  it("a saved notebook without a kernel is disconnected from the start, and asks nothing", async () => {
    model = new FakeModel({ selected: [3, 3] });
    session = new KernelHost(model.asAnyModel);
    const element = document.createElement("div");
    element.className = "jupyter-widgets-disconnected";
    session.shownIn(element, life.signal);
    expect(session.activity.state).toBe("disconnected");
    expect(model.sent).toEqual([]);
  });

  it("malformed messages change nothing", async () => {
    await open();
    for (const content of [null, 1, "answer", {}, { kind: "answer", client: "", seq: 0, box: "x" }])
      model.emit("msg:custom", content, []);
    expect(session.picture).toBeNull();
    expect(session.activity.state).toBe("ready");
  });
});

it("two sessions on two pages have different names", async () => {
  await open();
  session.request([1, 1], "click");
  const { client } = model.last;
  await open();
  session.request([1, 1], "click");
  expect(model.last.client).not.toBe(client);
});

it("a closed session neither sends nor tells", async () => {
  await open();
  const told = vi.fn();
  session.request([1, 1], "click");
  session.watch(told, life.signal);
  session.close();
  model.answer(1);
  vi.advanceTimersByTime(10 * TIMEOUT);
  await settled();
  expect(told).not.toHaveBeenCalled();
  expect(model.sent.length).toBe(1);
});

describe("a query", () => {
  it("shows at once and is told to the kernel", async () => {
    await open();
    const changed = vi.fn();
    session.watch(changed, life.signal);
    session.ask([1, 2, 3, 4]);
    expect(session.query).toEqual([1, 2, 3, 4]);
    expect(changed).toHaveBeenCalled();
    session.ask(null);
    expect(model.told).toEqual([
      { kind: "query", box: [1, 2, 3, 4] },
      { kind: "query", box: null },
    ]);
    expect(model.sent).toEqual([]);
  });

  it("set in Python shows as well", async () => {
    await open({ query: [1, 2, 3, 4] });
    expect(session.query).toEqual([1, 2, 3, 4]);
    model.change({ query: [5, 6, 7, 8] });
    expect(session.query).toEqual([5, 6, 7, 8]);
  });

  it("of a kernel that is gone still shows, for the page answers by itself", async () => {
    await open();
    model.reachable = false;
    session.ask([1, 2, 3, 4]);
    expect(session.query).toEqual([1, 2, 3, 4]);
    expect(session.activity.state).toBe("disconnected");
  });
});

it("a layer is chosen by telling the kernel, unless it is on show", async () => {
  await open();
  session.choose("other");
  session.choose("feature_grid");
  expect(model.told).toEqual([{ kind: "layer", name: "other" }]);
});
