import { describe, expect, it } from "vitest";
import { all, rowNear, search, some } from "../src/listing";
import { FATES, type Fate } from "../src/messages";

describe("searching", () => {
  it("finds each number and no others", () => {
    const numbers = Uint32Array.of(2, 3, 5, 8, 1000);
    expect([...numbers].map((number) => search(numbers, number))).toEqual([0, 1, 2, 3, 4]);
    for (const other of [0, 1, 4, 999, 1001]) expect(search(numbers, other)).toBe(-1);
    expect(search([], 1)).toBe(-1);
  });
});

describe("lists", () => {
  it("hold all rows", () => {
    const list = all(100);
    expect([list.count, list.numberOf(7), list.ordinalOf(7), list.ordinalOf(100)]).toEqual([
      100, 7, 7, -1,
    ]);
  });

  it("hold some rows", () => {
    const list = some("?x", [4, 9]);
    expect([list.count, list.numberOf(1), list.ordinalOf(9), list.ordinalOf(5)]).toEqual([
      2, 9, 1, -1,
    ]);
  });
});

describe("the row of a sample", () => {
  const fates = (...names: Fate[]) => Uint8Array.from(names, (name) => FATES.indexOf(name));

  it("is as far as samples before it were answered", () => {
    const all = fates("result", "drop", "error", "waiting", "result");
    expect([0, 2, 4].map((sample) => rowNear(sample, all))).toEqual([0, 1, 2]);
  });

  it("is none for a sample without an answer", () => {
    const all = fates("result", "drop", "waiting");
    expect([1, 2, 3].map((sample) => rowNear(sample, all))).toEqual([null, null, null]);
  });
});
