import { expect, it } from "vitest";
import { agoText } from "../src/caption";
import { Lag, lagText } from "../src/lag";

it("knows nothing before the first picture", () => {
  const lag = new Lag();
  expect(lag.value(0)).toBeNull();
  expect(lagText(null, true)).toBe("LIVE");
  expect(lagText(null, false)).toBe("");
});

it("is calm about one late picture and follows a lasting delay", () => {
  const lag = new Lag();
  for (let i = 0; i < 20; i++) lag.add(0.1);
  lag.add(1.1);
  expect(lag.value(0.1)).toBeLessThan(0.3);
  for (let i = 0; i < 40; i++) lag.add(1.1);
  expect(lag.value(0.1)).toBeCloseTo(1.1, 1);
});

it("grows when pictures stop coming", () => {
  const lag = new Lag();
  lag.add(0.2);
  expect(lag.value(1)).toBeCloseTo(0.2);
  expect(lag.value(4)).toBe(4);
  lag.reset();
  expect(lag.value(4)).toBeNull();
});

it("is told of a live source always, of a file when it can be noticed", () => {
  expect(lagText(0.21, true)).toBe("LIVE · 0.2 s behind");
  expect(lagText(0.01, true)).toBe("LIVE");
  expect(lagText(14.4, true)).toBe("LIVE · 14 s behind");
  expect(lagText(0.4, false)).toBe("");
  expect(lagText(0.62, false)).toBe("0.6 s behind");
});

it("ages answers in words", () => {
  expect([0.64, 12.3, 119, 7300].map(agoText)).toEqual([
    "0.6 s ago",
    "12 s ago",
    "2 min ago",
    "2 h ago",
  ]);
});
