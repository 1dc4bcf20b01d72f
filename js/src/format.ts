/** Numbers as people read them. */

/** What is shown of an answer without a letter. */
export const NOTHING = "(empty answer)";

/** Media time: 0:07.5, 1:02:03.0. */
export function clock(seconds: number): string {
  const tenths = Math.max(0, Math.round(seconds * 10));
  const hours = Math.floor(tenths / 36_000);
  const minutes = Math.floor((tenths % 36_000) / 600);
  const rest = tenths % 600;
  const tail = `${String(Math.floor(rest / 10)).padStart(2, "0")}.${rest % 10}`;
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

/** 1,234,567. */
export function count(n: number): string {
  return Math.round(n).toLocaleString("en-US");
}

/** 1.2k, 3.4M: where room is short. */
export function short(n: number): string {
  if (n < 1e3) return String(Math.round(n));
  if (n < 1e6) return `${trim(n / 1e3)}k`;
  return n < 1e9 ? `${trim(n / 1e6)}M` : `${trim(n / 1e9)}B`;
}

/** 310 ms, 1.25 s; of what was not asked there is none. */
export function latency(ms: number | null): string {
  if (ms === null) return "–";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}

/** "1 result", "2 results". */
export function plural(n: number, word: string): string {
  return `${count(n)} ${word}${n === 1 ? "" : "s"}`;
}

/** The number nearest to `n` from `low` to `high`; `low` where there is none between. */
export function clamp(n: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, n));
}

/** The beginning of a text that is longer than can be of use. */
export function shorten(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

/** A number with at most so many decimals, without trailing zeros. */
export function trim(n: number, decimals = 1): string {
  return String(Number(n.toFixed(decimals)));
}
