// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { KernelHost } from "../hosts/kernel-host.js";
import type { Field, SyncedState, Volume } from "../protocol.js";
import { FakeModel, placeAt, settled } from "../testing.js";
import { html } from "./dom.js";
import { sectionAt, sections, slicesOf, titleOf } from "./sections.js";

/** 20 x 10 x 5 voxels, with a gap of 3: x and y, z and y to the right, x and z below. */
const VOLUME: Volume = {
  size: [20, 10, 5],
  sections: [
    [0, 1, 2, 0, 0],
    [2, 1, 0, 23, 0],
    [0, 2, 1, 0, 13],
  ],
};
const FIELD: Field = {
  x: { cells: 1, pixels: 4, edges: [[-2, 6]] },
  y: { cells: 1, pixels: 3, edges: [[0, 3]] },
  z: { cells: 1, pixels: 1, edges: [[0, 2]] },
};
const STATE: Partial<SyncedState> = {
  ...{ axes: 3, volume: VOLUME, field: FIELD, grid: [5, 3, 4], image_size: [28, 18] },
};

describe("the sections of a volume", () => {
  it("hold a place of the picture, or the nearest one does", () => {
    const [xy, zy, xz] = VOLUME.sections;
    expect([sectionAt(VOLUME, [3, 3]), sectionAt(VOLUME, [24, 3]), sectionAt(VOLUME, [3, 15])]).toEqual([xy, zy, xz]);
    expect([sectionAt(VOLUME, [20.5, 3]), sectionAt(VOLUME, [22.5, 3])]).toEqual([xy, zy]);
  });

  it("say their axes and where they cut", () =>
    expect(VOLUME.sections.map((section) => titleOf(section, [7, 8, 9]))).toEqual([
      "x \u2192 y \u2193, z = 9",
      "z \u2192 y \u2193, x = 7",
      "x \u2192 z \u2193, y = 8",
    ]));

  it("are cut out of the voxels, and clear between", () => {
    const voxels = Uint32Array.from({ length: 1000 }, (_, k) => k + 1);
    const rgba = slicesOf(voxels, VOLUME, [7, 4, 2], [28, 18], 1);
    const pixels = new Uint32Array(rgba.buffer);
    const voxel = (x: number, y: number, z: number) => 1 + x + 20 * (y + 10 * z);
    expect(pixels[28 * 3 + 6]).toBe(voxel(6, 3, 2));
    expect(pixels[28 * 3 + 23 + 1]).toBe(voxel(7, 3, 1));
    expect(pixels[28 * (13 + 4) + 6]).toBe(voxel(6, 4, 4));
    expect([pixels[28 * 3 + 21], pixels[28 * 11 + 3], pixels[28 * 15 + 25]]).toEqual([0, 0, 0]);
  });

  it("of which every second voxel is there repeat it", () => {
    const half = Uint32Array.from({ length: 10 * 5 * 3 }, (_, k) => k + 1);
    const pixels = new Uint32Array(slicesOf(half, VOLUME, [7, 4, 2], [28, 18], 2).buffer);
    expect(pixels[28 * 3 + 6]).toBe(1 + 3 + 10 * (1 + 5 * 1));
    expect(pixels[28 * 3 + 7]).toBe(pixels[28 * 3 + 6]);
  });
});

describe("a place of a section", () => {
  const host = new KernelHost(new FakeModel({ ...STATE, selected: [1, 2, 3] }).asAnyModel, null);

  it("belongs to a cell along its own axes; along the third that is the selected one", () => {
    expect(sections.cellAt(host, [10.4, 1])).toEqual([2, 0, 3]);
    expect(sections.cellAt(host, [23 + 1.1, 4.6])).toEqual([1, 1, 0]);
    expect(sections.cellAt(host, [13.8, 13 + 2.2])).toEqual([3, 2, 1]);
  });

  it("asks for voxels there, where the third axis is cut", () => {
    // Cell (1, 2, 3) has its centre at (6, 7.5, 4).
    expect(sections.between(host, [3.2, 5.7], [3.2, 5.7])).toEqual([3, 5, 4, 4, 6, 5]);
    expect(sections.between(host, [23 + 4.5, 8], [23 + 1.2, 2.5])).toEqual([6, 2, 1, 7, 8, 5]);
    expect(sections.pixelAt(host, [6, 7.5, 4])).toEqual([6, 7, 4, 7, 8, 5]);
  });
});

describe("on the screen", () => {
  let model: FakeModel;
  let life: AbortController;
  const drawn = () => {
    const host = new KernelHost(model.asAnyModel, null);
    return { host, drawings: sections.drawings(host) };
  };

  beforeEach(() => {
    life = new AbortController();
    model = new FakeModel({ ...STATE, selected: [1, 2, 3] });
  });

  afterEach(() => life.abort());

  it("the wheel with Alt goes through the section under it, and is left to the page without", async () => {
    const { drawings } = drawn();
    const root = document.createElement("div");
    placeAt(root, 0, 0, 280, 180);
    drawings.listen?.(root, life.signal);
    const wheel = (x: number, y: number, deltaY: number, altKey = true) => {
      const at = { clientX: x, clientY: y, deltaX: 0, deltaY, altKey };
      const event = Object.assign(new Event("wheel", { cancelable: true }), at);
      root.dispatchEvent(event);
      return event.defaultPrevented;
    };
    await settled();
    const before = model.sent.length;
    expect(wheel(100, 50, 100, false)).toBe(false);
    expect(model.sent.length).toBe(before);
    expect(wheel(100, 50, -40)).toBe(true); // x and y: along z
    await settled();
    expect(model.sent.at(-1)?.cell).toEqual([1, 2, 2]);
    expect(wheel(100, 50, -20)).toBe(true); // half a notch
    await settled();
    expect(drawn().host.selected).toEqual([1, 2, 3]);
  });

  it.each([
    [245, 50, [2, 2, 3]],
    [100, 140, [1, 2, 3]],
  ])("at (%s, %s) it goes along the axis that is cut there", async (x, y, cell) => {
    const { drawings, host } = drawn();
    const root = document.createElement("div");
    placeAt(root, 0, 0, 280, 180);
    drawings.listen?.(root, life.signal);
    const event = Object.assign(new Event("wheel"), { clientX: x, clientY: y, deltaX: 0, deltaY: 40, altKey: true });
    root.dispatchEvent(event);
    expect(host.selected).toEqual(cell); // along y it is the last one already
  });

  it("the slider selects a cell along z", async () => {
    const { drawings, host } = drawn();
    const stage = { image_size: [28, 18], margin: [9, 9, 9, 9], scale: 4, stretch: 1 } as const;
    drawings.draw({ ...stage, image_size: [28, 18], margin: [9, 9, 9, 9] }, null, null, null);
    const slider = drawings.below?.querySelector("input");
    if (!slider) throw new Error("no slider");
    expect([slider.max, slider.value, drawings.below?.textContent]).toEqual(["3", "3", "z3 of 4"]);
    slider.value = "1";
    slider.dispatchEvent(new Event("input"));
    await settled();
    expect(host.selected).toEqual([1, 2, 1]);
  });

  it("boxes that a section does not meet are faint", () => {
    const { drawings } = drawn();
    const scene = document.createElement("div");
    scene.append(html("i", "", { "data-through": "2,0,4" }), html("i", "", { "data-through": "2,4,9" }), html("i", ""));
    drawings.drawScene?.(scene);
    const faint = [...scene.children].map((line) => line.classList.contains("rfwidget-faint"));
    expect(faint).toEqual([true, false, false]); // z is cut at 4
  });
});

vi.stubGlobal("ImageData", class {});
