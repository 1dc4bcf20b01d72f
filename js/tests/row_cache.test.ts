import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CAPACITY, PAGE, PATIENCE, PAUSE, RowCache } from "../src/row_cache";
import { row } from "./rows";

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

let asked: number[][];
let cache: RowCache;
const viewer = {};

beforeEach(() => {
  vi.useFakeTimers();
  asked = [];
  cache = new RowCache((rows) => asked.push(rows));
});
afterEach(() => {
  cache.watch(viewer, []);
  vi.useRealTimers();
});

describe("what is kept", () => {
  it("gives back what was put, and finds it by its sample", () => {
    cache.put([row(3, { sample: 5, text: "five" })]);
    expect(cache.peek(3)?.text).toBe("five");
    expect(cache.ofSample(5)?.row).toBe(3);
    expect(cache.ofSample(3)).toBeUndefined();
    expect(asked).toEqual([]);
  });

  it("is bounded: the rows put longest ago go first", () => {
    cache.put(range(0, CAPACITY).map((n) => row(n)));
    cache.put([row(0)]);
    cache.put([row(CAPACITY)]);
    expect(cache.size).toBe(CAPACITY);
    expect(cache.peek(0)).toBeDefined();
    expect(cache.peek(1)).toBeUndefined();
  });

  it("never forgets what is being looked at", () => {
    cache.put([row(7), row(8)]);
    cache.watch(viewer, [7]);
    cache.put(range(100, 100 + 2 * CAPACITY).map((n) => row(n)));
    expect(cache.size).toBe(CAPACITY);
    expect(cache.peek(7)).toBeDefined();
    expect(cache.peek(8)).toBeUndefined();
  });
});

describe("what is asked for", () => {
  it("is the missing rows of a list, once", () => {
    cache.put([row(11)]);
    cache.watch(viewer, [10, 11, 12]);
    expect(asked).toEqual([]);
    vi.advanceTimersByTime(PAUSE);
    expect(asked).toEqual([[10, 12]]);
    cache.watch(viewer, [10, 11, 12]);
    vi.advanceTimersByTime(PATIENCE - PAUSE);
    expect(asked).toHaveLength(1);
  });

  it("is nothing where all rows are here", () => {
    cache.put([row(1), row(2)]);
    cache.watch(viewer, [1, 2]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("never holds rows that were scrolled past", () => {
    for (let first = 0; first < 50_000; first += 500) {
      cache.watch(viewer, range(first, first + 20));
      vi.advanceTimersByTime(16);
    }
    expect(asked).toEqual([]);
    vi.advanceTimersByTime(2 * PAUSE);
    expect(asked).toEqual([range(49_500, 49_520)]);
  });

  it("follows slow scrolling without waiting for its end", () => {
    for (let first = 0; first < 60; first++) {
      cache.watch(viewer, range(first, first + 20));
      vi.advanceTimersByTime(16);
    }
    const rows = asked.flat();
    expect(rows.length).toBeGreaterThan(70);
    expect(new Set(rows).size).toBe(rows.length);
    expect(asked.length).toBeLessThan(20);
  });

  it("comes in messages of a bounded size", () => {
    cache.watch(viewer, range(0, 2 * PAGE + 1));
    vi.advanceTimersByTime(PAUSE);
    expect(asked.map((rows) => rows.length)).toEqual([PAGE, PAGE, 1]);
  });

  it("is asked for again when it does not come", () => {
    cache.watch(viewer, [5]);
    vi.advanceTimersByTime(PAUSE + 2.5 * PATIENCE);
    expect(asked).toEqual([[5], [5], [5]]);
  });

  it("is asked for again after it was lost out of view", () => {
    cache.put([row(9)]);
    cache.watch(viewer, [5]);
    vi.advanceTimersByTime(PAUSE);
    cache.watch(viewer, [9]);
    vi.advanceTimersByTime(2 * PATIENCE);
    cache.watch(viewer, [5]);
    vi.advanceTimersByTime(PAUSE);
    expect(asked).toEqual([[5], [5]]);
  });

  it("is new rows at once although others are still waited for", () => {
    cache.watch(viewer, [1, 2]);
    vi.advanceTimersByTime(PAUSE);
    cache.watch(viewer, [2, 3]);
    vi.advanceTimersByTime(PAUSE);
    expect(asked).toEqual([[1, 2], [3]]);
  });

  it("is what any of several lists shows", () => {
    const other = {};
    cache.watch(viewer, [1]);
    cache.watch(other, [2]);
    vi.advanceTimersByTime(PAUSE);
    expect(asked).toEqual([[1, 2]]);
    cache.watch(other, []);
  });

  it("ends with the last list", () => {
    cache.watch(viewer, [1]);
    cache.watch(viewer, []);
    vi.advanceTimersByTime(10 * PATIENCE);
    expect(asked).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("stops when it came", () => {
    cache.watch(viewer, [1]);
    vi.advanceTimersByTime(PAUSE);
    cache.put([row(1)]);
    vi.advanceTimersByTime(10 * PATIENCE);
    expect(asked).toEqual([[1]]);
    expect(vi.getTimerCount()).toBe(0);
  });
});
