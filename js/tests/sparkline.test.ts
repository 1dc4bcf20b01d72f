import { describe, expect, it } from "vitest";
import {
  HEIGHT,
  WIDTH,
  describe as words,
  heightOf,
  median,
  pathOf,
  roundUp,
  sparkline,
} from "../src/sparkline";

const points = (path: string) =>
  path
    .slice(1)
    .split(/L|h0/)
    .filter((point) => point !== "")
    .map((point) => point.split(" ").map(Number) as [number, number]);

describe("the scale", () => {
  it("ends at round numbers, so that it seldom changes", () => {
    expect([1, 1.1, 171, 200, 201, 499, 501, 1001].map(roundUp)).toEqual([
      1, 2, 200, 200, 500, 500, 1000, 2000,
    ]);
  });

  it("exists for anything", () => {
    for (const value of [0, -1, NaN, Infinity]) expect(roundUp(value)).toBe(1);
  });

  it("stays in the picture", () => {
    for (const value of [-5, 0, 50, 100, 1e9]) {
      expect(heightOf(value, 100)).toBeGreaterThan(0);
      expect(heightOf(value, 100)).toBeLessThan(HEIGHT);
    }
    expect(heightOf(100, 100)).toBeLessThan(heightOf(0, 100));
  });
});

describe("the line", () => {
  it("has the newest at the right edge, and grows to the left until it is full", () => {
    const few = points(pathOf([10, 20, 30], 50, 60));
    const full = points(pathOf(Array(60).fill(10), 50, 60));
    expect(few).toHaveLength(3);
    expect(few.at(-1)?.[0]).toBeCloseTo(WIDTH - 1.5, 1);
    expect(few[0]?.[0]).toBeGreaterThan(WIDTH * 0.9);
    expect(full[0]?.[0]).toBeCloseTo(1.5, 1);
  });

  it("is a dot for one answer and nothing for none", () => {
    expect(pathOf([10], 50, 60)).toMatch(/^M\S+ \S+h0$/);
    expect(pathOf([], 50, 60)).toBe("");
  });
});

describe("in words", () => {
  it("names the median of what is shown", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([])).toBeNull();
    expect(words([120, 171, 900])).toBe("Latency of the last 3 answers, median 171 ms");
    expect(words([])).toBe("Latency: no answers yet");
  });
});

describe("the picture", () => {
  const attr = (el: Element, name: string, key = "d") =>
    el.querySelector(name)?.getAttribute(key) ?? "";

  it("shows the newest answers and lines at the quantiles", () => {
    const { el, show } = sparkline(60);
    show(
      Array.from({ length: 100 }, (_, i) => i),
      50,
      95,
    );
    expect(points(attr(el, ".ov-spark-line"))).toHaveLength(60);
    expect(attr(el, ".ov-spark-p50")).toBe(`M0 ${heightOf(50, 100)}H${WIDTH}`);
    expect(attr(el, ".ov-spark-p95")).toBe(`M0 ${heightOf(95, 100)}H${WIDTH}`);
    expect(el.getAttribute("aria-label")).toBe("Latency of the last 60 answers, median 70 ms");
  });

  it("is empty without answers, and survives numbers that are none", () => {
    const { el, show } = sparkline(60);
    show([], null, null);
    expect(attr(el, ".ov-spark-p50")).toBe("");
    show([NaN, 100], null, null);
    expect(el.outerHTML).not.toContain("NaN");
  });
});
