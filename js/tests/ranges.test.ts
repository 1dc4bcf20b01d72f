import { describe, expect, it } from "vitest";
import { checkNumber, clipFrames, rangeText, rateText } from "../src/ranges";
import { LIMITS } from "./fake_session";

describe("a range in words", () => {
  it("says which end is excluded", () => {
    expect(rangeText(LIMITS.interval_seconds, "s")).toBe("0 < x ≤ 60 s");
    expect(rangeText(LIMITS.target_fps, "fps")).toBe("1–30 fps");
    expect(rangeText({ ...LIMITS.delay_seconds, high: 86_400 }, "s")).toBe("0 < x ≤ 86,400 s");
  });

  it("leaves out an upper end that is none", () => {
    expect(rangeText(LIMITS.max_output_tokens)).toBe("≥ 1");
    expect(rangeText(LIMITS.delay_seconds, "s")).toBe("> 0 s");
    expect(checkNumber("1e12", LIMITS.max_output_tokens)).toEqual({ value: 1e12 });
  });
});

describe("a typed number", () => {
  it.each([
    ["60", 60],
    ["0.001", 0.001],
    [" .5 ", 0.5],
    ["5e-1", 0.5],
  ])("takes %j as an interval", (text, value) => {
    expect(checkNumber(text, LIMITS.interval_seconds)).toEqual({ value });
  });

  it.each(["0", "-1", "60.0001", "", "  ", "?", "1,5", "Infinity", "NaN", "1e999"])(
    "refuses %j as an interval",
    (text) => {
      expect(checkNumber(text, LIMITS.interval_seconds, "s").error).toBe(
        "Must be a number, 0 < x ≤ 60 s",
      );
    },
  );

  it("includes a closed lower end, and wants whole numbers where told", () => {
    expect(checkNumber("0.1", LIMITS.clip_length_seconds)).toEqual({ value: 0.1 });
    expect(checkNumber("0.09", LIMITS.clip_length_seconds).error).toBeDefined();
    expect(checkNumber("30", LIMITS.target_fps)).toEqual({ value: 30 });
    expect(checkNumber("5.5", LIMITS.target_fps, "fps").error).toBe(
      "Must be a whole number, 1–30 fps",
    );
  });
});

describe("frames of a clip", () => {
  it.each([
    [6, 0.5, 3],
    [10, 0.3, 3],
    [10, 0.29, 2],
    [5, 0.3, 1],
    [1, 60, 60],
    [30, 0.1, 3],
    [30, 1e-7, 0],
  ])("%d fps x %d s is %d", (fps, length, frames) => {
    expect(clipFrames(fps, length)).toBe(frames);
  });

  it("counts in the digits as written, where floats lose a frame", () => {
    const lost = [];
    for (let fps = 1; fps <= 30; fps += 1) {
      for (let tenths = 1; tenths <= 6000; tenths += 1) {
        const exact = Math.floor((fps * tenths) / 100);
        const length = tenths / 100;
        if (clipFrames(fps, length) !== exact) throw new Error(`${fps} x ${length}`);
        if (Math.floor(fps * length) !== exact) lost.push([fps, length]);
      }
    }
    expect(lost.length).toBeGreaterThan(0);
  });
});

it("writes rates in three digits", () => {
  expect([2, 1 / 3, 1280.4, 99.96, 0.00123456].map(rateText)).toEqual([
    "2",
    "0.333",
    "1,280",
    "100",
    "0.00123",
  ]);
});
