/** A line of the newest latencies, with the usual and the worst as thin lines across it. */

import { setAttr, svg } from "./dom";
import { clamp, latency } from "./format";

export const WIDTH = 96;
export const HEIGHT = 24;
const EDGE = 1.5;

/** A round number at or above `value` (1, 2 or 5 times a power of ten): a scale that rests. */
export function roundUp(value: number): number {
  if (!(value > 0) || !Number.isFinite(value)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 5].find((step) => value <= step * power) ?? 10);
}

/** Height of a value in the picture: 0 at its lower edge. */
export function heightOf(value: number, top: number): number {
  const share = clamp(value / top, 0, 1);
  return Number((HEIGHT - EDGE - share * (HEIGHT - 2 * EDGE)).toFixed(1));
}

/** SVG path through the values, the newest at the right edge; `room` values fill the width. */
export function pathOf(values: readonly number[], top: number, room: number): string {
  const step = (WIDTH - 2 * EDGE) / Math.max(1, room - 1);
  const start = WIDTH - EDGE - (values.length - 1) * step;
  const points = values.map(
    (value, i) => `${(start + i * step).toFixed(1)} ${heightOf(value, top)}`,
  );
  // A line back to its last point, so that also one value is seen: as the dot of a round end.
  return points.length ? `M${points.join("L")}h0` : "";
}

export function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const [low, high] = [sorted[Math.floor(middle)], sorted[Math.ceil(middle)]];
  return low === undefined || high === undefined ? null : (low + high) / 2;
}

/** What the picture shows, in words. */
export function describe(values: readonly number[]): string {
  const middle = median(values);
  if (middle === null) return "Latency: no answers yet";
  const answers = values.length === 1 ? "answer" : `${values.length} answers`;
  return `Latency of the last ${answers}, median ${latency(middle)}`;
}

export interface Sparkline {
  el: SVGElement;
  /** Milliseconds, oldest first; quantiles of the whole run where they are known. */
  show(values: readonly number[], p50: number | null, p95: number | null): void;
}

/** `room`: so many values fill the width. */
export function sparkline(room: number): Sparkline {
  const path = (name: string) => svg("path", { class: name });
  const p95Line = path("ov-spark-p95");
  const p50Line = path("ov-spark-p50");
  const line = path("ov-spark-line");
  const look = { class: "ov-spark", width: WIDTH, height: HEIGHT, role: "img" };
  const el = svg("svg", look, p95Line, p50Line, line);
  return {
    el,
    show(values, p50, p95) {
      const shown = values.slice(-room).filter(Number.isFinite);
      const top = roundUp(Math.max(0, ...shown, p95 ?? 0));
      const across = (value: number | null) =>
        value === null ? "" : `M0 ${heightOf(value, top)}H${WIDTH}`;
      setAttr(p50Line, "d", across(p50));
      setAttr(p95Line, "d", across(shown.length ? p95 : 0)); // a base line before there is more
      setAttr(line, "d", pathOf(shown, top, room));
      setAttr(el, "aria-label", describe(shown));
    },
  };
}
