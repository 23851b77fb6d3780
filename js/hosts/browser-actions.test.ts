// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { doBrowserAction } from "./browser-actions.js";

let clicked: string[] = [];

beforeEach(() => {
  clicked = [];
  vi.spyOn(document, "hasFocus").mockReturnValue(true);
  vi.spyOn(URL, "createObjectURL").mockReturnValue("blob:picture");
  vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(function (this: HTMLAnchorElement) {
    clicked.push(`${this.download} from ${this.href}`);
  });
});

afterEach(() => vi.restoreAllMocks());

const BYTES = new DataView(new ArrayBuffer(4));

test("a file is saved under its name", async () => {
  await doBrowserAction({ kind: "download", name: "field.png", content: BYTES });
  expect(clicked).toEqual(["field.png from blob:picture"]);
});

test("a text goes to the clipboard", async () => {
  const written = vi.spyOn(navigator.clipboard, "writeText").mockResolvedValue();
  await doBrowserAction({ kind: "copy", text: "RFWidget(model)" });
  expect(written).toHaveBeenCalledWith("RFWidget(model)");
});

test("without a clipboard the text is selected and copied", async () => {
  vi.spyOn(navigator.clipboard, "writeText").mockRejectedValue(new Error("not allowed"));
  document.execCommand = vi.fn().mockReturnValue(true);
  expect(await doBrowserAction({ kind: "copy", text: "RFWidget(model)" })).toBe(true);
  expect(document.execCommand).toHaveBeenCalledWith("copy");
  expect(document.querySelector("textarea")).toBeNull();
});

test("a page in the background does nothing", async () => {
  vi.spyOn(document, "hasFocus").mockReturnValue(false);
  expect(await doBrowserAction({ kind: "download", name: "field.png", content: BYTES })).toBe(false);
  expect(clicked).toEqual([]);
});
