import { expect, it } from "vitest";
import { FATES } from "../src/messages";
import { TimelineStore } from "../src/timeline_store";

const [WAITING, RESULT, ERROR] = [0, 1, 2];
const seconds = (first: number, n: number) => Float64Array.from({ length: n }, (_, i) => first + i);

it("begins empty", () => {
  const store = new TimelineStore();
  expect(store.length).toBe(0);
  expect(store.times.length).toBe(0);
  expect(store.fate(0)).toBe("waiting");
});

it("grows past its first room and keeps what it had", () => {
  const store = new TimelineStore();
  for (let first = 0; first < 10_000; first += 7) {
    expect(store.put(first, seconds(first, 7), new Uint8Array(7).fill(RESULT))).toBe(true);
  }
  expect(store.length).toBe(10_003);
  expect([...store.times]).toEqual([...seconds(0, 10_003)]);
  expect(store.fates.every((code) => code === RESULT)).toBe(true);
});

it("takes a block that is much larger than its room", () => {
  const store = new TimelineStore();
  store.put(0, seconds(0, 100_000), new Uint8Array(100_000).fill(RESULT));
  expect(store.length).toBe(100_000);
  expect(store.times[99_999]).toBe(99_999);
});

it("overwrites what became of samples without shrinking", () => {
  const store = new TimelineStore();
  store.put(0, seconds(0, 4), Uint8Array.of(RESULT, WAITING, WAITING, WAITING));
  store.put(1, Float64Array.of(1.5), Uint8Array.of(ERROR));
  expect(store.length).toBe(4);
  expect(store.times[1]).toBe(1.5);
  expect([0, 1, 2, 3].map((i) => store.fate(i))).toEqual(["result", "error", "waiting", "waiting"]);
  store.put(3, seconds(3, 2), Uint8Array.of(RESULT, WAITING));
  expect(store.length).toBe(5);
});

it("refuses a block that would leave a gap, and stays as it was", () => {
  const store = new TimelineStore();
  store.put(0, seconds(0, 2), Uint8Array.of(RESULT, RESULT));
  expect(store.put(3, seconds(3, 1), Uint8Array.of(RESULT))).toBe(false);
  expect(store.length).toBe(2);
  expect(store.put(2, new Float64Array(0), new Uint8Array(0))).toBe(true);
  expect(store.length).toBe(2);
});

it("names every code", () => {
  const store = new TimelineStore();
  store.put(0, seconds(0, FATES.length), Uint8Array.from(FATES, (_, i) => i));
  expect(FATES.map((_, i) => store.fate(i))).toEqual([...FATES]);
});
