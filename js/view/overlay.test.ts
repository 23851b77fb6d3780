// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Activity, Host } from "../hosts/host.js";
import type { Live } from "../hosts/resident.js";
import type { Box, Cell, Field, Picture, SyncedState } from "../protocol.js";
import { CONTROLS, placeAt, STATE } from "../testing.js";
import { flat } from "./flat.js";
import { mount } from "./overlay.js";

/** A host that a test moves by hand. */
class FakeHost implements Host {
  state: SyncedState = { ...STATE, margin: [...STATE.margin] };
  selected: Cell | null = null;
  picture: Picture | null = null;
  live: Live = { held: 0, wanted: 0, cells: 512, coarse: false };
  painted: Cell | null | undefined = null;
  activity: Activity = { state: "ready", text: "", error: null };
  query: Box | null = null;
  offered = null;
  copies = 0;
  scene = null;
  set = vi.fn();
  upload = vi.fn(() => true);
  act = vi.fn();
  magnified = vi.fn();
  request = vi.fn();
  hover = vi.fn();
  ask = vi.fn();
  choose = vi.fn();
  changed = () => {};

  get shown(): Picture | null {
    return this.state.show_heat ? this.picture : null;
  }

  get<K extends keyof SyncedState>(name: K): SyncedState[K] {
    return this.state[name];
  }

  watch(changed: () => void): void {
    this.changed = changed;
  }
}

let host: FakeHost;
let element: HTMLElement;
let life: AbortController;
let frames: (() => void)[];

const find = <E extends Element = HTMLElement>(selector: string): E => {
  const found = element.querySelector<E>(selector);
  if (!found) throw new Error(`no ${selector}`);
  return found;
};
const overlay = () => find(".rfwidget-overlay");
const readout = () => find(".rfwidget-status").textContent;
const numbers = (selector: string) =>
  ["x", "y", "width", "height"].map((name) => Number(find(selector).getAttribute(name)));
const nextFrame = () => {
  for (const frame of frames.splice(0)) frame();
};

/** The middle of a cell's receptive field on the screen, in a page that shows the image at (100, 50) at scale 3. */
const at = ([x, y]: Cell) => ({ clientX: 100 + 3 * (7 + 4 * x), clientY: 50 + 3 * (11.5 + 5 * y) });
const pointer = (type: string, place: { clientX: number; clientY: number }, more: PointerEventInit = {}) =>
  overlay().dispatchEvent(
    new PointerEvent(type, { isPrimary: true, pointerId: 1, pointerType: "mouse", bubbles: true, ...place, ...more }),
  );
const press = (key: string, more: KeyboardEventInit = {}) => {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more });
  overlay().dispatchEvent(event);
  return event;
};

beforeEach(() => {
  frames = [];
  vi.stubGlobal("requestAnimationFrame", (frame: () => void) => frames.push(frame));
  vi.stubGlobal("cancelAnimationFrame", (id: number) => frames.splice(id - 1, 1));
  vi.stubGlobal("ImageData", class {});
  host = new FakeHost();
  life = new AbortController();
  element = document.createElement("div");
  document.body.append(element);
  mount(element, host, flat, life.signal);
  overlay().setPointerCapture = vi.fn();
  placeAt(overlay(), 100, 50, 480, 288);
});

afterEach(() => {
  life.abort();
  element.remove();
});

describe("the overlay root", () => {
  it("covers exactly the image behind the margin", () => {
    expect(overlay().style).toMatchObject({ left: "40px", top: "20px", width: "480px", height: "288px" });
    expect(find(".rfwidget-area").style).toMatchObject({ width: "530px", height: "318px" });
  });

  it("tells grid, selection, picture and state", () => {
    expect(overlay().dataset).toMatchObject({ grid: "32x16", state: "ready" });
    expect(overlay().dataset).not.toHaveProperty("selected");
    expect(overlay().dataset).not.toHaveProperty("painted");
    Object.assign(host, { selected: [20, 5], painted: [19, 5], activity: { state: "busy", text: "", error: null } });
    host.changed();
    expect(overlay().dataset).toMatchObject({ selected: "20,5", painted: "19,5", state: "busy" });
    host.painted = null;
    host.changed();
    expect(overlay().dataset).not.toHaveProperty("painted");
  });

  it("touches nothing where nothing has changed: a pointer that moves brings news in every frame", () => {
    Object.assign(host, { selected: [20, 5], painted: [20, 5] });
    host.changed();
    const observer = new MutationObserver(() => {});
    observer.observe(element, { attributes: true, characterData: true, childList: true, subtree: true });
    host.changed();
    const touched = observer.takeRecords().map(({ target, attributeName }) => [target, attributeName]);
    expect(touched).toEqual([]);
  });

  it("has a name, a role and a place in the tab order", () => {
    expect(overlay().getAttribute("aria-label")).toBe("Receptive fields of layer feature_grid");
    expect(overlay().getAttribute("role")).toBe("application");
    expect(overlay().tabIndex).toBe(0);
  });
});

describe("the pointer", () => {
  it("hovers without asking for anything: rectangle, dashed overhang and read-out", () => {
    pointer("pointermove", at([0, 3]));
    nextFrame();
    expect(host.request).not.toHaveBeenCalled();
    // x -10..24, y 10..43 in image pixels; the overhang is drawn on the stage, behind its margin of 40 and 20.
    expect(numbers(".rfwidget-hovered rect.rfwidget-overhang")).toEqual([40 - 30, 20 + 30, 34 * 3, 33 * 3]);
    expect(readout()).toContain("cell (0, 3): x \u221210 to 24, y 10 to 43, 34 \u00d7 33 px");
    pointer("pointerleave", at([0, 3]));
    nextFrame();
    expect(find<SVGElement>(".rfwidget-hovered").style.display).toBe("none");
    expect(readout()).toBe("");
  });

  it("hovers once per frame, at the last place", () => {
    for (let x = 0; x < 30; x++) pointer("pointermove", at([x, 3]));
    expect(frames.length).toBe(1);
    nextFrame();
    expect(readout()).toContain("cell (29, 3)");
  });

  it("selects and scrubs", () => {
    pointer("pointerdown", at([20, 5]));
    pointer("pointermove", at([21, 5]));
    expect(host.request.mock.calls).toEqual([[[20, 5]], [[21, 5]]]);
  });

  it("finds the cell on a page that is shrunk, moved or zoomed", () => {
    placeAt(overlay(), -30, 400, 120, 72);
    pointer("pointerdown", { clientX: -30 + (7 + 4 * 20) * 0.75, clientY: 400 + (11.5 + 5 * 5) * 0.75 });
    expect(host.request).toHaveBeenCalledWith([20, 5]);
  });

  it("selects nothing where no field is known", () => {
    host.state.field = null;
    pointer("pointerdown", at([20, 5]));
    expect(host.request).not.toHaveBeenCalled();
  });
});

describe("a key", () => {
  it("that is plain never reaches the notebook, which may listen on the way down", () => {
    const notebook = vi.fn();
    document.addEventListener("keydown", notebook, { signal: life.signal });
    document.addEventListener("keydown", notebook, { signal: life.signal, capture: true });
    for (const key of ["b", "x", "j", "ArrowDown", "Enter", "Escape"])
      expect(press(key).defaultPrevented, key).toBe(true);
    expect(notebook).not.toHaveBeenCalled();
  });

  it("with Ctrl, and Tab, reach it untouched", () => {
    const notebook = vi.fn();
    document.addEventListener("keydown", notebook, { signal: life.signal });
    expect(press("s", { ctrlKey: true }).defaultPrevented).toBe(false);
    expect(press("Tab").defaultPrevented).toBe(false);
    expect(notebook).toHaveBeenCalledTimes(2);
  });

  it("elsewhere is none of ours", () => {
    const notebook = vi.fn();
    document.addEventListener("keydown", notebook, { signal: life.signal });
    host.selected = [20, 5];
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft", bubbles: true }));
    expect(notebook).toHaveBeenCalledTimes(1);
    expect(host.request).not.toHaveBeenCalled();
  });

  it("moves the selected cell", () => {
    host.selected = [20, 5];
    press("ArrowLeft", { shiftKey: true });
    expect(host.request).toHaveBeenCalledWith([15, 5]);
  });

  it("Escape gives the focus back to what holds the widget", () => {
    const cell = document.createElement("div");
    cell.tabIndex = -1;
    document.body.append(cell);
    cell.append(element);
    overlay().focus();
    press("Escape");
    expect(document.activeElement).toBe(cell);
    cell.remove();
  });
});

describe("what is shown", () => {
  it("of the selected cell: its rectangle as the kernel told it, and the time it took", () => {
    host.selected = [20, 5];
    const picture = { cell: [20, 5], rect: [0, 0, 10, 20], milliseconds: 12.34, box: [0, 0, 0, 0], mass: [] };
    host.picture = {
      ...picture,
      serial: 1,
      revision: 1,
      levels: new Uint8ClampedArray(),
      step: 1,
    } as unknown as Picture;
    host.changed();
    // The outline stands outside the field, beside that of a corner cell.
    expect(numbers(".rfwidget-selected rect.rfwidget-overhang")).toEqual([40 - 2.5, 20 - 2.5, 30 + 5, 60 + 5]);
    expect(readout()).toBe("cell (20, 5): x 0 to 10, y 0 to 20, 10 \u00d7 20 px");
    expect(find(".rfwidget-detail").textContent).toBe("12 ms");
    expect(find(".rfwidget-cell").textContent).toBe("(20, 5)");
    expect(find(".rfwidget-readout dl").textContent).toBe(
      "seesx 0 \u2013 10, y 0 \u2013 20size10 \u00d7 20 pxstride 4 \u00d7 5gradientzero everywhere",
    );
  });

  it("of a cell whose map is not there yet keeps the lines that are to come", () => {
    host.selected = [20, 5];
    host.changed();
    const words = [...element.querySelectorAll(".rfwidget-readout dt")].map(({ textContent }) => textContent);
    expect(words).toEqual(["sees", "size", "50 % within", "95 % within"]);
  });

  it("says that the line of Python is copied once it is, and not before", () => {
    host.state.controls = { ...CONTROLS };
    host.changed();
    const code = [...element.querySelectorAll("button")].find(({ textContent }) => textContent === "Code");
    host.copies = 3;
    host.changed();
    expect(code?.textContent).toBe("Code"); // by somebody else
    code?.click();
    host.changed();
    expect([host.act.mock.calls, code?.textContent]).toEqual([[["code"]], "Code"]);
    host.copies = 4;
    host.changed();
    expect(code?.textContent).toBe("Copied");
  });

  it("an old complaint about a file goes with another image", async () => {
    host.state.controls = { ...CONTROLS };
    host.upload.mockReturnValueOnce(false);
    const paste = new Event("paste", { bubbles: true });
    Object.assign(paste, { clipboardData: { files: [new File(["x"], "photo.png")] } });
    overlay().dispatchEvent(paste);
    await vi.waitFor(() => expect(find(".rfwidget-notice").textContent).toContain("run the cell again"));
    host.changed();
    expect(find(".rfwidget-notice").hidden).toBe(false);
    host.state.revision++;
    host.changed();
    expect(find(".rfwidget-notice").hidden).toBe(true);
  });

  it("tells the host when it begins and ends to magnify, and when it goes while it does", () => {
    press("+");
    press("+");
    press("0");
    press("-");
    expect(host.magnified.mock.calls).toEqual([[true], [false]]);
    press("+");
    life.abort();
    expect(host.magnified.mock.calls.slice(2)).toEqual([[true], [false]]);
  });

  it("has the host's marks, magnified with the image, under those of cells, and tags over all", () => {
    host.state.marks = [
      {
        kind: "tag",
        part: "first",
        text: "first",
        x: 4,
        y: 2,
        width: 40,
        height: 16,
        colour: "red",
        of: [4, 2, 90, 80],
      },
      { kind: "dots", part: "dots", at: [50, 30], radius: 1, colour: "green" },
    ];
    host.changed();
    const sheets = [...find(".rfwidget-all").children].map((child) => child.getAttribute("class"));
    const order = [
      "rfwidget-marks rfwidget-scene",
      "rfwidget-marks",
      "rfwidget-marks rfwidget-tags",
      "rfwidget-overlay",
    ];
    const places = order.map((name) => sheets.lastIndexOf(name));
    expect(places).toEqual([...places].sort((one, other) => one - other));
    expect(places).not.toContain(-1);
    expect(find(".rfwidget-tags").textContent).toBe("first");
    expect(find(".rfwidget-scene path").getAttribute("d")).toMatch(/^M49 30a1 1/);
  });

  it("has the photograph only while no canvas has it", () => {
    const scene = { photo: "data:image/png,a", pixels: "data:image/png,b" };
    Object.assign(host, { scene });
    host.changed();
    expect(find(".rfwidget-photo").getAttribute("src")).toBe(scene.photo);
    Object.assign(host, { scene: null });
    host.changed();
    expect(element.querySelector(".rfwidget-photo")).toBeNull();
  });

  it("of an unbounded field reaches beyond the stage", () => {
    host.state.field = { x: { cells: 1, pixels: 5, edges: null }, y: { cells: 1, pixels: 5, edges: [[-5, 28]] } };
    host.selected = [20, 5];
    host.changed();
    const [x = 0, , width = 0] = numbers(".rfwidget-selected rect.rfwidget-overhang");
    expect(x).toBeLessThan(0);
    expect(x + width).toBeGreaterThan(530);
  });

  it("are errors in words, with the traceback behind a disclosure, as text and not as markup", () => {
    const error = { message: "no <img src=x onerror=alert(1)>", details: "Traceback <b>" };
    host.activity = { state: "error", text: "", error };
    host.changed();
    expect(find(".rfwidget-error").hidden).toBe(false);
    expect(find(".rfwidget-message").textContent).toBe(error.message);
    expect(find(".rfwidget-traceback").textContent).toBe(error.details);
    expect(find<HTMLDetailsElement>("details").open).toBe(false);
    expect(element.querySelector("img")).toBeNull();
    host.activity = { state: "ready", text: "", error: null };
    host.changed();
    expect(find(".rfwidget-error").hidden).toBe(true);
  });

  it("is progress while there is some", () => {
    expect(find(".rfwidget-progress").hidden).toBe(true);
    host.state.progress = 0.25;
    host.activity = { state: "busy", text: "measuring", error: null };
    host.changed();
    expect(find<HTMLProgressElement>(".rfwidget-progress").value).toBe(0.25);
    expect(readout()).toContain("measuring");
  });

  it("is spoken when selected, not when hovered", () => {
    const spoken = () => find("[aria-live=polite]").textContent;
    host.selected = [20, 5];
    host.changed();
    expect(spoken()).toContain("cell (20, 5)");
    pointer("pointermove", at([0, 3]));
    nextFrame();
    expect(spoken()).not.toContain("cell (0, 3)");
  });
});

describe("the feature map", () => {
  const rgba = new DataView(new ArrayBuffer(32 * 16 * 4));

  beforeEach(() => {
    host.state.feature_map = { size: [32, 16], range: [0, 1], rgba };
    host.changed();
    placeAt(find(".rfwidget-map-surface"), 700, 50, 192, 96);
    find(".rfwidget-map-surface").setPointerCapture = vi.fn();
  });

  it("is absent until there is one", () => {
    host.state.feature_map = null;
    host.changed();
    expect(find(".rfwidget-map").hidden).toBe(true);
  });

  it("selects the cell that is pressed", () => {
    const event = { isPrimary: true, pointerId: 1, clientX: 700 + 6 * 20 + 3, clientY: 50 + 6 * 5 + 3 };
    find(".rfwidget-map-surface").dispatchEvent(new PointerEvent("pointerdown", event));
    expect(host.request).toHaveBeenCalledWith([20, 5]);
  });

  it("marks the selected cell and the one under the pointer on the image", () => {
    host.selected = [20, 5];
    host.changed();
    pointer("pointermove", at([7, 3]));
    nextFrame();
    expect(numbers(".rfwidget-map-selected")).toEqual([20, 5, 1, 1]);
    expect(numbers(".rfwidget-map-hovered")).toEqual([7, 3, 1, 1]);
  });
});

describe("a query", () => {
  const shift = { shiftKey: true };

  it("by a click with Shift asks for the pixel, and for no cell", () => {
    const place = { clientX: 100 + 3 * 30.5, clientY: 50 + 3 * 20.5 };
    pointer("pointerdown", place, shift);
    pointer("pointerup", place, shift);
    expect(host.ask.mock.calls).toEqual([[[30, 20, 31, 21]]]);
    expect(host.request).not.toHaveBeenCalled();
  });

  it("shows the box while it is drawn, the cells on the map and on the image, and says how many they are", () => {
    host.state.feature_map = { size: [32, 16], range: [0, 1], rgba: new DataView(new ArrayBuffer(32 * 16 * 4)) };
    pointer("pointerdown", { clientX: 100, clientY: 50 }, shift);
    pointer("pointermove", { clientX: 100 + 30, clientY: 50 + 60 }, shift);
    expect(numbers(".rfwidget-query rect.rfwidget-line")).toEqual([40, 20, 30, 60]);
    // Columns 0, 1, 2 begin at -10, -6, -2; rows 0 and 1 at -5 and 0.
    expect(readout()).toContain("6 cells of layer feature_grid see all of the box x 0 to 10, y 0 to 20");
    expect(find(".rfwidget-map-found").getAttribute("d")).toBe("M0 0H3V2H0Z");
    expect(find(".rfwidget-centres").getAttribute("d")?.match(/M/g)?.length).toBe(6);
  });

  it("that the host knows is shown and told to screen readers", () => {
    host.query = [0, 0, 1, 1];
    host.changed();
    expect(overlay().dataset.query).toBe("0,0,1,1");
    expect(find("[aria-live=polite]").textContent).toContain("6 cells of layer feature_grid see pixel (0, 0)");
    host.query = null;
    host.changed();
    expect(readout()).toBe("");
    expect(find<SVGElement>(".rfwidget-query").style.display).toBe("none");
  });

  it("by a plain click where the host says that clicks ask, and for no cell", () => {
    host.state.asking = true;
    host.changed();
    expect(overlay().dataset.asking).toBe("");
    pointer("pointerdown", at([0, 3]));
    pointer("pointerup", at([0, 3]));
    expect(host.ask).toHaveBeenCalledTimes(1);
    expect(host.request).not.toHaveBeenCalled();
    host.state.asking = false;
    host.changed();
    expect(overlay().dataset.asking).toBeUndefined();
    pointer("pointerdown", at([0, 3]));
    expect(host.ask).toHaveBeenCalledTimes(1);
    expect(host.request).toHaveBeenCalledTimes(1);
  });

  it("by the key Q asks for the centre of the selected cell's field", () => {
    host.selected = [20, 5];
    press("q");
    expect(host.ask).toHaveBeenCalledWith([87, 36, 88, 37]); // centre (87, 36.5)
  });

  it("ends with Escape, which leaves only after that", () => {
    overlay().focus();
    host.query = [0, 0, 1, 1];
    press("Escape");
    expect(host.ask).toHaveBeenCalledWith(null);
    expect(document.activeElement).toBe(overlay());
    host.query = null;
    press("Escape");
    expect(document.activeElement).not.toBe(overlay());
  });
});

describe("a layer to compare with", () => {
  const other = { x: { cells: 1, pixels: 16, edges: [[0, 60]] }, y: { cells: 1, pixels: 20, edges: null } } as Field;

  beforeEach(() => {
    const size = [60, null] as const;
    host.state.layers = [{ name: "deep", grid: [8, 4], size, uniform: true, field: other }];
    host.selected = [20, 5];
  });

  it("shows the field of its cell at the same place, and both names", () => {
    host.state.compare = "deep";
    host.changed();
    // The selected field is centred at x = 87; of the others' centres 30 + 16 k the nearest is 94, of cell 4.
    const [x, , width] = numbers(".rfwidget-compared rect.rfwidget-overhang");
    expect([x, width]).toEqual([40 + 3 * 64 - 2.5, 180 + 5]);
    const labels = [...element.querySelectorAll(".rfwidget-marks .rfwidget-label")].map((label) => label.textContent);
    expect(labels).toEqual(expect.arrayContaining(["deep", "feature_grid"]));
  });

  it("that is not known shows nothing, and no names", () => {
    host.state.compare = "deeper";
    host.changed();
    expect(find<SVGElement>(".rfwidget-compared").style.display).toBe("none");
    expect(find(".rfwidget-selected .rfwidget-label").textContent).toBe("");
  });
});

it("a layer chosen in the strip is the host's to show", () => {
  const row = { grid: [8, 4], size: [3, 5], uniform: true, field: STATE.field } as const;
  host.state.layers = ["a", "b"].map((name) => ({ ...row, name }));
  host.changed();
  find('[data-index="1"]').click();
  expect(host.choose).toHaveBeenCalledWith("b");
});

describe("the heat map", () => {
  const picture = { serial: 1, revision: 1, cell: [20, 5], box: [0, 0, 1, 1], rect: [0, 0, 1, 1], milliseconds: 1 };

  it("is the view's own to paint where the host does not, and counts as painted", () => {
    host.painted = undefined;
    host.picture = { ...picture, levels: new Uint8ClampedArray(1), step: 1 } as unknown as Picture;
    host.changed();
    expect(find(".rfwidget-heat").hidden).toBe(false);
    expect(overlay().dataset.painted).toBe("20,5");
    host.state.show_heat = false;
    host.changed();
    expect(overlay().dataset).not.toHaveProperty("painted");
  });

  it("is that of the cell under the pointer, which the host is told of once a frame", () => {
    pointer("pointermove", at([3, 2]));
    pointer("pointermove", at([4, 2]));
    expect(host.hover).not.toHaveBeenCalled();
    nextFrame();
    expect(host.hover.mock.calls).toEqual([[[4, 2]]]);
    pointer("pointerleave", at([4, 2]));
    nextFrame();
    expect(host.hover.mock.lastCall).toEqual([null]);
  });

  it("of half the resolution is marked as such in the line about the cell under the pointer", () => {
    host.picture = { ...picture, cell: [4, 2], step: 2, levels: new Uint8ClampedArray(1) } as unknown as Picture;
    pointer("pointermove", at([4, 2]));
    nextFrame();
    expect(readout()).toContain("shown at half the resolution");
  });

  it("says how many cells are live, and once all are, in words for screen readers", () => {
    host.state.controls = CONTROLS;
    const words = () => [...element.querySelectorAll(".rfwidget-chip")].map((chip) => chip.textContent);
    host.live = { held: 64, wanted: 512, cells: 512, coarse: false };
    host.changed();
    expect(words()).toContain("live 64/512");
    expect(find('[aria-label="live 64/512 cells"]').getAttribute("aria-pressed")).toBe("true");
    expect([overlay().dataset.live, find(".rfwidget-spoken").textContent]).toEqual(["64", ""]);
    host.live = { held: 512, wanted: 512, cells: 512, coarse: false };
    host.changed();
    expect(words()).toContain("live");
    expect(find(".rfwidget-spoken").textContent).toBe("all 512 cells are live");
    host.live = { held: 100, wanted: 100, cells: 512, coarse: true };
    host.changed();
    expect(words()).toContain("live 100/512 \u00bd");
    expect(find('[aria-label="live 100/512 \u00bd cells, at half the resolution"]')).toBeTruthy();
    expect(find(".rfwidget-spoken").textContent).toBe("the nearest 100 of 512 cells are live");
  });

  it("is left to the host where that paints", () => expect(find(".rfwidget-heat").hidden).toBe(true));
});

it("chip, colours and list have the name of the heat map that is drawn", () => {
  const names = () => [
    find('[data-sets="show_heat"]').textContent,
    find('[data-sets="show_heat"]').title,
    find(".rfwidget-colouring .rfwidget-title").textContent,
  ];
  const list = find<HTMLSelectElement>('[aria-label="Map"]');
  host.state.controls = CONTROLS;
  host.changed();
  expect(names()).toEqual(["gradient map", "d(cell) / d(image)", "gradient map"]);
  expect(list.hidden).toBe(true);
  host.state.controls = { ...CONTROLS, heat_map: "attention", heat_maps: ["gradient", "attention"] };
  host.changed();
  expect(names()).toEqual(["attention", "What the token attends to", "attention"]);
  expect([list.hidden, list.value, list.textContent]).toEqual([false, "attention", "gradient mapattention"]);
});

it("nothing is left behind when the view is gone", () => {
  pointer("pointermove", at([0, 3]));
  const root = overlay();
  life.abort();
  expect(element.childElementCount).toBe(0);
  expect(frames.length).toBe(0);
  root.dispatchEvent(new PointerEvent("pointerdown", { isPrimary: true, ...at([3, 3]) }));
  root.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft" }));
  expect(host.request).not.toHaveBeenCalled();
});
