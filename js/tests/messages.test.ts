import { describe, expect, it } from "vitest";
import { bytes, decodeMatches, decodeTicks, parse } from "../src/messages";

/** The bytes of an array somewhere inside a larger buffer, as hosts hand them over. */
function inside(array: Float64Array | Uint32Array | Uint8Array, offset: number): DataView {
  const all = new Uint8Array(offset + array.byteLength + 3).fill(255);
  all.set(new Uint8Array(array.buffer), offset);
  return new DataView(all.buffer, offset, array.byteLength);
}

describe("parse", () => {
  it("takes what the kernel says", () => {
    const message = { kind: "rows", total: 0, rows: [] };
    expect(parse(message)).toBe(message);
  });

  it.each([
    ["nothing", null],
    ["no object", "status"],
    ["no kind", { method: "custom" }],
    ["a kind that is no text", { kind: 7 }],
    ["another widget's", { kind: "custom" }],
    ["a page's own", { kind: "hello", page: "a", visible: true }],
    ["a name that every object has", { kind: "constructor" }],
  ])("leaves %s alone", (_, content) => {
    expect(parse(content)).toBeNull();
  });
});

describe("bytes", () => {
  it("are those of the view, not of the buffer around it", () => {
    expect([...bytes(inside(Uint8Array.of(1, 2, 3), 5))]).toEqual([1, 2, 3]);
  });

  it("are a copy: what the host does with its buffer afterwards changes nothing", () => {
    const buffer = Uint8Array.of(1, 2, 3);
    const copy = bytes(new DataView(buffer.buffer));
    buffer.fill(9);
    expect([...copy]).toEqual([1, 2, 3]);
  });

  it("are none where there is no buffer", () => {
    expect(bytes(undefined)).toHaveLength(0);
  });
});

describe("ticks", () => {
  it.each([0, 1, 3, 8])("are read wherever they begin in a buffer: %i", (offset) => {
    const times = Float64Array.of(0, 0.5, 1e6);
    const fates = Uint8Array.of(1, 0, 3);
    const decoded = decodeTicks([inside(times, offset), inside(fates, offset)]);
    expect([...decoded.times]).toEqual([0, 0.5, 1e6]);
    expect([...decoded.fates]).toEqual([1, 0, 3]);
  });

  it("may be none", () => {
    const decoded = decodeTicks([
      new DataView(new ArrayBuffer(0)),
      new DataView(new ArrayBuffer(0)),
    ]);
    expect([decoded.times.length, decoded.fates.length]).toEqual([0, 0]);
  });

  it("need a fate for each time", () => {
    const buffers = [inside(Float64Array.of(0, 1), 0), inside(Uint8Array.of(1), 0)];
    expect(() => decodeTicks(buffers)).toThrow("2 times for 1 fates");
    expect(() => decodeTicks(buffers.slice(0, 1))).toThrow("2 times for 0 fates");
  });
});

describe("matches", () => {
  it.each([0, 1, 2])("are read wherever they begin in a buffer: %i", (offset) => {
    const numbers = Uint32Array.of(0, 7, 4_000_000_000);
    expect([...decodeMatches([inside(numbers, offset)])]).toEqual([0, 7, 4_000_000_000]);
  });

  it("are none without a buffer", () => {
    expect(decodeMatches([])).toHaveLength(0);
  });
});
