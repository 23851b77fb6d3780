import { describe, expect, it } from "vitest";
import { bytesOf, parseMessage } from "./protocol.js";

const ANSWER = {
  kind: "answer",
  client: "page",
  seq: 4,
  serial: 9,
  revision: 2,
  cell: [5, 7],
  box: [-1, 6, 1, 9],
  step: 1,
  full: 0.5,
  weight: 3,
  rect: [1, null, 35, null],
  milliseconds: 1.5,
};
const pixels = (bytes: number) => new DataView(new ArrayBuffer(bytes));

describe("a message of the kernel", () => {
  it("answers with a picture; null edges are infinite", () => {
    const message = parseMessage(ANSWER, [pixels(6)]);
    expect(message).toMatchObject({
      kind: "answer",
      client: "page",
      seq: 4,
      serial: 9,
      cell: [5, 7],
      box: [-1, 6, 1, 9],
      rect: [1, -Infinity, 35, Infinity],
    });
  });

  it("may hold no pixel at all", () =>
    expect(parseMessage({ ...ANSWER, box: [0, 0, 0, 0] }, [pixels(0)])?.kind).toBe("answer"));

  it("brings maps of many cells in one buffer, coarse ones with a byte for four pixels", () => {
    const coarse = { ...ANSWER, cell: [1, 2], box: [0, 2, 4, 8], step: 2 };
    const message = parseMessage({ kind: "maps", revision: 2, maps: [ANSWER, coarse] }, [pixels(12)]);
    expect(message).toMatchObject({ revision: 2, maps: [{ cell: [5, 7] }, { cell: [1, 2], step: 2 }] });
    expect(message?.kind === "maps" && message.levels.length).toBe(12);
  });

  it("acknowledges, supersedes or fails", () => {
    expect(parseMessage({ kind: "ack", client: "a", seq: 1 })).toEqual({ kind: "ack", client: "a", seq: 1 });
    expect(parseMessage({ kind: "superseded", client: "a", seq: 1 })?.kind).toBe("superseded");
    const failure = { kind: "failure", client: "a", seq: 1, serial: 2, revision: 3, message: "m", details: "d" };
    expect(parseMessage(failure)).toEqual(failure);
  });

  it("says that no maps are made for a while", () =>
    expect(parseMessage({ kind: "pause", on: true })).toEqual({ kind: "pause", on: true }));

  it("asks for what only a page can do: saving a file, copying a text", () => {
    const content = pixels(8);
    const download = { kind: "download", name: "field.png" };
    expect(parseMessage(download, [content])).toEqual({ ...download, content });
    const copy = { kind: "copy", text: "RFWidget(model)" };
    expect(parseMessage(copy)).toEqual(copy);
  });

  it.each([
    ["pixels that do not fill the box", ANSWER, [pixels(5)]],
    ["no pixels", ANSWER, []],
    ["no serial", { ...ANSWER, serial: undefined }, [pixels(6)]],
    ["half a cell", { ...ANSWER, cell: [1.5, 2] }, [pixels(6)]],
    ["edges the wrong way round", { ...ANSWER, box: [0, 0, -2, -3] }, [pixels(6)]],
    ["no step", { ...ANSWER, step: 0 }, [pixels(6)]],
    ["no full value", { ...ANSWER, full: null }, [pixels(6)]],
    ["maps that do not fill their boxes", { kind: "maps", revision: 2, maps: [ANSWER, ANSWER] }, [pixels(11)]],
    ["a map that is none", { kind: "maps", revision: 2, maps: [ANSWER, null] }, [pixels(6)]],
    ["no maps", { kind: "maps", revision: 2 }, [pixels(6)]],
    ["no rectangle", { ...ANSWER, rect: null }, [pixels(6)]],
    ["no client", { kind: "ack", seq: 1 }, []],
    ["no name", { kind: "download", name: 3 }, [pixels(6)]],
    ["no file", { kind: "download", name: "field.png" }, []],
    ["no word of whether it begins or ends", { kind: "pause", on: "yes" }, []],
    ["no text", { kind: "copy" }, []],
    ["a kind that every object has", { kind: "toString", client: "a", seq: 1 }, []],
    ["a kind that is no word", { kind: ["ack"], client: "a", seq: 1 }, []],
    ["an unknown kind", { kind: "other", client: "a", seq: 1 }, []],
    ["nothing", null, []],
    ["text", "ack", []],
  ])("with %s is dropped", (_, content, buffers) => expect(parseMessage(content, buffers)).toBeNull());
});

it("bytes of a buffer start where the buffer does", () => {
  const whole = new Uint8Array([1, 2, 3, 4, 5, 6]);
  expect([...bytesOf(new DataView(whole.buffer, 2, 3))]).toEqual([3, 4, 5]);
  expect([...bytesOf(new Uint8Array([7, 8, 9]).subarray(1) as never)]).toEqual([8, 9]);
  expect([...bytesOf(new Uint8Array([7, 8]).buffer)]).toEqual([7, 8]);
  expect(bytesOf(undefined).length).toBe(0);
  expect(bytesOf(null as never).length).toBe(0);
});
