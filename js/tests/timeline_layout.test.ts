import { describe, expect, it } from "vitest";
import { FATES, type Fate } from "../src/messages";
import {
  PEAK,
  WINDOW,
  axis,
  barsOf,
  bins,
  lowerBound,
  nearest,
  niceStep,
  slide,
  timeToX,
  wholeRun,
  xToTime,
} from "../src/timeline_layout";

const codes = (...fates: Fate[]) => Uint8Array.from(fates, (fate) => FATES.indexOf(fate));
const every = (n: number, step: number) => Float64Array.from({ length: n }, (_, i) => i * step);
const results = (n: number) => new Uint8Array(n).fill(FATES.indexOf("result"));

describe("time and place", () => {
  const domain = { start: 60, end: 180 };

  it("puts the ends of the domain at the ends of the track", () => {
    expect(timeToX(60, domain, 600)).toBe(0);
    expect(timeToX(180, domain, 600)).toBe(600);
  });

  it("goes back and forth", () => {
    for (let x = 0; x <= 600; x += 7) {
      expect(timeToX(xToTime(x, domain, 600), domain, 600)).toBeCloseTo(x, 9);
    }
  });
});

describe("lowerBound", () => {
  it("agrees with a search from the left", () => {
    const times = Float64Array.of(9, 0, 0.5, 0.5, 2, 7);
    for (const time of [-1, 0, 0.4, 0.5, 0.6, 2, 6.9, 7, 8]) {
      const found = times.findIndex((t, i) => i >= 1 && t >= time);
      expect(lowerBound(times, time, 1)).toBe(found === -1 ? times.length : found);
    }
  });
});

describe("wholeRun", () => {
  it("is the known duration", () => {
    expect(wholeRun(36, 12)).toEqual({ start: 0, end: 36 });
  });

  it("never leaves a sample out, even past a duration that was wrong", () => {
    expect(wholeRun(36, 40).end).toBe(40);
  });

  it("holds all of an endless run, with little left empty, and moves seldom", () => {
    let moves = 0;
    let before = 0;
    for (let latest = 0; latest < 7200; latest += 0.5) {
      const { start, end } = wholeRun(null, latest);
      expect(start).toBe(0);
      expect(end).toBeGreaterThanOrEqual(Math.max(10, latest));
      if (latest > 10) expect(end).toBeLessThanOrEqual(latest * 1.13);
      if (end !== before) moves += 1;
      before = end;
    }
    expect(moves).toBeLessThan(100);
  });
});

describe("slide", () => {
  it("stands at the beginning until the window is full, then follows", () => {
    expect(slide(null, 30, false, null)).toEqual({ start: 0, end: WINDOW });
    expect(slide({ start: 0, end: WINDOW }, 500, false, null)).toEqual({ start: 380, end: 500 });
  });

  it("stands still while it is held or a sample in it is selected", () => {
    const before = { start: 380, end: 500 };
    expect(slide(before, 510, true, null)).toEqual(before);
    expect(slide(before, 900, false, 400)).toEqual(before);
  });

  it("brings a sample outside of it into view", () => {
    const shown = slide({ start: 380, end: 500 }, 510, false, 100);
    expect(shown).toEqual({ start: 40, end: 160 });
    expect(slide(null, 510, false, 3)).toEqual({ start: 0, end: WINDOW });
  });

  it("does not keep the domain of the whole run", () => {
    expect(slide({ start: 0, end: 640 }, 600, true, null)).toEqual({ start: 480, end: 600 });
  });
});

describe("bins", () => {
  const of = (counts: Uint32Array, column: number) =>
    Object.fromEntries(FATES.map((fate, code) => [fate, counts[column * FATES.length + code]]));

  it("counts each sample in its column, the last instant too", () => {
    const counts = bins(
      Float64Array.of(0, 5, 5.5, 5.9, 10),
      codes("result", "waiting", "error", "error", "drop"),
      0,
      { start: 0, end: 10 },
      10,
    );
    expect(of(counts, 0)).toEqual({ waiting: 0, result: 1, error: 0, drop: 0 });
    expect(of(counts, 5)).toEqual({ waiting: 1, result: 0, error: 2, drop: 0 });
    expect(of(counts, 9)).toEqual({ waiting: 0, result: 0, error: 0, drop: 1 });
    expect(counts.reduce((a, b) => a + b)).toBe(5);
  });

  it("leaves out earlier runs and what is not in the domain", () => {
    const times = Float64Array.of(5, 6, 0, 5, 99);
    const counts = bins(times, results(5), 2, { start: 1, end: 10 }, 9);
    expect(counts.reduce((a, b) => a + b)).toBe(1);
    expect(of(counts, 4).result).toBe(1);
  });

  it("takes 100,000 samples in a few milliseconds", () => {
    const times = every(100_000, 0.5);
    const fates = results(100_000);
    const run = () => {
      const began = performance.now();
      const counts = bins(times, fates, 0, { start: 0, end: 50_000 }, 1400);
      for (let column = 0; column < 1400; column++) barsOf(counts, column);
      return performance.now() - began;
    };
    run();
    expect(Math.min(run(), run(), run(), run())).toBeLessThan(5);
  });
});

describe("barsOf", () => {
  const bars = (...fates: Fate[]) =>
    barsOf(bins(every(fates.length, 0), codes(...fates), 0, { start: 0, end: 1 }, 1), 0);

  it("draws nothing where nothing is", () => {
    expect(bars()).toEqual([]);
  });

  it("tells single samples apart by height: errors tall, drops short", () => {
    const height = (fate: Fate) => {
      const [bar, ...more] = bars(fate);
      expect(more).toEqual([]);
      expect(bar).toMatchObject({ fate, low: 0 });
      return bar?.high ?? 0;
    };
    expect(height("error")).toBe(PEAK);
    expect(height("result")).toBeLessThan(PEAK);
    expect(height("waiting")).toBe(height("result"));
    expect(height("drop")).toBeLessThan(height("result") / 2);
  });

  it("never hides one error or drop among many results, nor the results", () => {
    const many = Array.from({ length: 500 }, (): Fate => "result");
    const shown = bars(...many, "error", "drop");
    expect(shown.map((bar) => bar.fate)).toEqual(["result", "error", "drop"]);
    for (const { low, high } of shown) expect(high - low).toBeGreaterThanOrEqual(3);
    const [body, error] = shown;
    expect(error?.low).toBe(body?.high);
  });

  it("draws errors higher the more there are, up to the height of one alone", () => {
    const tops = [1, 2, 5, 9].map((n) => {
      const fates = Array.from({ length: 10 }, (_, i): Fate => (i < n ? "error" : "result"));
      return bars(...fates).find((bar) => bar.fate === "error")?.high ?? 0;
    });
    expect(tops).toEqual([...tops].sort((a, b) => a - b));
    expect(new Set(tops).size).toBe(4);
    expect(Math.max(...tops)).toBeLessThanOrEqual(PEAK);
  });

  it("says that samples wait only where none of a column is answered", () => {
    expect(bars("waiting", "drop").map((bar) => bar.fate)).toEqual(["waiting", "drop"]);
    expect(bars("waiting", "result").map((bar) => bar.fate)).toEqual(["result"]);
  });
});

describe("nearest", () => {
  const domain = { start: 0, end: 100 };
  const times = Float64Array.of(0, 10, 11, 50);
  const fates = results(4);
  const at = (x: number, radius = 8, from = 0) =>
    nearest(times, fates, from, x, domain, 1000, radius);

  it("finds the sample next to the pointer, on either side", () => {
    expect(at(0)).toBe(0);
    expect(at(104)).toBe(1);
    expect(at(106)).toBe(2);
    expect(at(496)).toBe(3);
    expect(at(508)).toBe(3);
  });

  it("finds none where none is near", () => {
    expect(at(300)).toBeNull();
    expect(at(509)).toBeNull();
    expect(at(509, 12)).toBe(3);
    expect(nearest(new Float64Array(0), new Uint8Array(0), 0, 5, domain, 1000, 8)).toBeNull();
  });

  it("leaves out earlier runs", () => {
    expect(at(0, 8, 1)).toBeNull();
    expect(at(103, 8, 2)).toBe(2);
  });

  it("takes the worst of those that share a pixel", () => {
    const dense = every(10_000, 0.01);
    const mixed = results(10_000);
    mixed[5003] = FATES.indexOf("error");
    expect(nearest(dense, mixed, 0, 500.9, domain, 1000, 8)).toBe(5003);
    expect(nearest(dense, mixed, 0, 502.5, domain, 1000, 8)).toBe(5025);
  });
});

describe("axis", () => {
  it("counts in steps that people count in", () => {
    expect([0.03, 0.3, 3, 14, 31, 61, 4000, 100_000].map(niceStep)).toEqual([
      0.1, 0.5, 5, 15, 60, 120, 7200, 172_800,
    ]);
  });

  it("labels whole seconds as such", () => {
    const marks = axis({ start: 0, end: 36 }, 700, (text) => text.length * 6);
    expect(marks[0]).toMatchObject({ x: 0, text: "0:00" });
    expect(marks[1]?.text).toBe("0:05");
  });

  it("never lets labels touch or leave the track", () => {
    const measure = (text: string) => text.length * 6.2;
    for (let width = 120; width < 1200; width += 37) {
      for (const span of [0.4, 3, 10, 36, 119, 120, 733, 3600, 9000, 86_400, 400_000]) {
        for (const start of [0, 0.3, 61.7, 3599]) {
          const marks = axis({ start, end: start + span }, width, measure);
          let end = -Infinity;
          for (const { label, text } of marks) {
            const half = measure(text) / 2;
            expect(label - half).toBeGreaterThan(end);
            expect(label - half).toBeGreaterThanOrEqual(-1e-9);
            expect(label + half).toBeLessThanOrEqual(width + 1e-9);
            end = label + half;
          }
        }
      }
    }
  });

  it("marks an ordinary track several times", () => {
    const measure = (text: string) => text.length * 6;
    for (const span of [10, 36, 120, 600, 3600, 7200]) {
      expect(axis({ start: 0, end: span }, 640, measure).length).toBeGreaterThanOrEqual(3);
    }
  });
});
