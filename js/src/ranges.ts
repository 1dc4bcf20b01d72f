/** Numbers against their allowed ranges, and what they come to: exact, in digits as written. */

import { count } from "./format";
import type { Range } from "./messages";

/** A range as people read it: "0 < x ≤ 60 s", "1–30 fps", "≥ 1". */
export function rangeText({ low, high, open }: Range, unit = ""): string {
  const text =
    high === null ? `${open ? ">" : "≥"} ${low}` : low + (open ? " < x ≤ " : "–") + count(high);
  return `${text} ${unit}`.trim();
}

export type Checked = { value: number; error?: never } | { error: string };

/** A typed number, or why it cannot be taken. */
export function checkNumber(text: string, range: Range, unit = ""): Checked {
  const value = text.trim() === "" ? NaN : Number(text);
  const { low, high, open, whole } = range;
  const fits =
    Number.isFinite(value) &&
    (open ? value > low : value >= low) &&
    (high === null || value <= high) &&
    (!whole || Number.isInteger(value));
  return fits
    ? { value }
    : { error: `Must be a ${whole ? "whole " : ""}number, ${rangeText(range, unit)}` };
}

/** Frames of a clip: floor(fps x length). In floats, 15 x 8.2 comes out as 122. */
export function clipFrames(fps: number, length: number): number {
  const [a, aDecimals] = digits(fps);
  const [b, bDecimals] = digits(length);
  return Number((a * b) / 10n ** BigInt(aDecimals + bDecimals));
}

/** A positive number's shortest digits as an integer, and how many of them are decimals. */
function digits(n: number): [bigint, number] {
  const [mantissa = "", exponent = "0"] = String(n).split("e");
  const [whole = "", part = ""] = mantissa.split(".");
  const decimals = part.length - Number(exponent);
  return [BigInt(whole + part) * 10n ** BigInt(Math.max(0, -decimals)), Math.max(0, decimals)];
}

/** A rate in three digits: 2, 0.333, 1,280. */
export function rateText(perSecond: number): string {
  return perSecond >= 100 ? count(perSecond) : String(Number(perSecond.toPrecision(3)));
}
