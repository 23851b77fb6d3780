// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { doFavour } from "./browser-actions.js";

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
  await doFavour({ kind: "download", name: "field.png" }, [BYTES]);
  expect(clicked).toEqual(["field.png from blob:picture"]);
});

test("a text goes to the clipboard", async () => {
  const written = vi.spyOn(navigator.clipboard, "writeText").mockResolvedValue();
  await doFavour({ kind: "copy", text: "RFWidget(model)" });
  expect(written).toHaveBeenCalledWith("RFWidget(model)");
});

test("without a clipboard the text is selected and copied", async () => {
  vi.spyOn(navigator.clipboard, "writeText").mockRejectedValue(new Error("not allowed"));
  document.execCommand = vi.fn().mockReturnValue(true);
  await doFavour({ kind: "copy", text: "RFWidget(model)" });
  expect(document.execCommand).toHaveBeenCalledWith("copy");
  expect(document.querySelector("textarea")).toBeNull();
});

test("a page in the background does nothing", async () => {
  vi.spyOn(document, "hasFocus").mockReturnValue(false);
  await doFavour({ kind: "download", name: "field.png" }, [BYTES]);
  expect(clicked).toEqual([]);
});

test.each([null, 3, {}, { kind: "download", name: 3 }, { kind: "copy" }, { kind: "ack", client: "a", seq: 1 }])(
  "%j asks for nothing",
  async (content) => {
    const written = vi.spyOn(navigator.clipboard, "writeText").mockResolvedValue();
    await doFavour(content, [BYTES]);
    expect([clicked, written.mock.calls]).toEqual([[], []]);
  },
);
