/**
 * Where samples stand on the timeline: plain arithmetic, without a screen.
 *
 * `times` are media times in seconds, ascending from sample `from` on, the first of the run that
 * is shown; `x` are CSS pixels from the left edge of the track.
 */

import { clamp, clock } from "./format";
import { FATES, type Fate } from "./messages";

/** The stretch of media time that the track shows, in seconds. */
export interface Domain {
  start: number;
  end: number;
}

/** Seconds that are shown of a run without an end, unless all of it is asked for. */
export const WINDOW = 120;
/** The least that is shown of such a run, so that the first samples do not race over the track. */
const LEAST = 10;

/** How much a fate asks for attention, by its code. */
const SEVERITY = FATES.map((fate) => ({ result: 0, waiting: 1, drop: 2, error: 3 })[fate]);

/** First index at or after `from` whose number, of ascending ones, is not below `least`. */
export function lowerBound(numbers: ArrayLike<number>, least: number, from = 0): number {
  let low = from;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((numbers[middle] as number) < least) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** All of a run: up to its known end, or a little beyond `latest`, in steps that hold a while. */
export function wholeRun(duration: number | null, latest: number): Domain {
  if (duration !== null && duration > 0) return { start: 0, end: Math.max(duration, latest) };
  const wanted = Math.max(LEAST, latest);
  // The end moves on by a sixteenth to an eighth: ticks keep their place in between.
  const grain = 2 ** Math.floor(Math.log2(wanted) - 3);
  return { start: 0, end: Math.ceil(wanted / grain) * grain };
}

/**
 * The window of `WINDOW` seconds. It ends at `latest`, but stands still while it is `held`, for
 * a pointer to aim at; a `focus` outside of it is brought to its middle.
 */
export function slide(
  before: Domain | null,
  latest: number,
  held: boolean,
  focus: number | null,
): Domain {
  const start = Math.max(0, latest - WINDOW);
  if (!held && focus === null) return { start, end: start + WINDOW };
  const stays = before?.end === (before?.start ?? 0) + WINDOW ? before : null;
  const now = stays ?? { start, end: start + WINDOW };
  if (focus === null || (focus >= now.start && focus <= now.end)) return now;
  const centred = clamp(focus - WINDOW / 2, 0, start);
  return { start: centred, end: centred + WINDOW };
}

export function timeToX(time: number, { start, end }: Domain, width: number): number {
  return ((time - start) / (end - start)) * width;
}

export function xToTime(x: number, { start, end }: Domain, width: number): number {
  return start + (x / width) * (end - start);
}

/** How many samples of each fate are in each of `columns` equal parts of the domain. */
export function bins(
  times: Float64Array,
  fates: Uint8Array,
  from: number,
  domain: Domain,
  columns: number,
): Uint32Array {
  const counts = new Uint32Array(columns * FATES.length);
  const scale = columns / (domain.end - domain.start);
  for (let i = lowerBound(times, domain.start, from); i < times.length; i++) {
    const time = times[i] as number;
    if (time > domain.end) break;
    const column = Math.min(columns - 1, Math.floor((time - domain.start) * scale));
    const place = column * FATES.length + (fates[i] as number);
    counts[place] = (counts[place] as number) + 1;
  }
  return counts;
}

/** What is drawn of a column: which fate, from which height to which. */
export interface Bar {
  fate: Fate;
  low: number;
  high: number;
}

/** Pixels above the ground: results and what waits, errors, drops; the least that can be seen. */
const BODY = 15;
export const PEAK = 26;
const FOOT = 6;
const LEAST_SEEN = 3;

/**
 * The bars of a column. One sample is one bar, told apart by its height. Where many share a
 * column errors stand on top and drops at the foot, as high as they are many, and never hidden.
 */
export function barsOf(counts: Uint32Array, column: number): Bar[] {
  const place = column * FATES.length;
  const [waiting = 0, results = 0, errors = 0, drops = 0] = counts.subarray(place);
  const all = waiting + results + errors + drops;
  const bars: Bar[] = [];
  const body = results > 0 ? "result" : waiting > 0 ? "waiting" : null;
  if (body !== null) bars.push({ fate: body, low: 0, high: BODY });
  const part = (n: number, height: number) => LEAST_SEEN + (height - LEAST_SEEN) * (n / all);
  if (errors > 0) {
    const low = body === null ? 0 : BODY;
    const high = body === null ? PEAK : BODY + part(errors, PEAK - BODY);
    bars.push({ fate: "error", low, high });
  }
  if (drops > 0) bars.push({ fate: "drop", low: 0, high: part(drops, FOOT) });
  return bars;
}

/**
 * The sample under a pointer: the nearest within `radius`, but of those that share its pixel the
 * worst, for that is what one aims at. Null: none is near.
 */
export function nearest(
  times: Float64Array,
  fates: Uint8Array,
  from: number,
  x: number,
  domain: Domain,
  width: number,
  radius: number,
): number | null {
  const time = xToTime(x, domain, width);
  const perPixel = (domain.end - domain.start) / width;
  const far = (i: number) => Math.abs((times[i] as number) - time);
  const after = lowerBound(times, time, from);
  let best: number | null = null;
  for (const i of [after - 1, after]) {
    if (i < from || i >= times.length || far(i) > radius * perPixel) continue;
    if (best === null || far(i) < far(best)) best = i;
  }
  if (best === null) return null;
  const pixel = (i: number) => Math.floor(((times[i] as number) - domain.start) / perPixel);
  const severity = (i: number) => SEVERITY[fates[i] as number] as number;
  const here = pixel(best);
  let chosen = best;
  for (const step of [-1, 1]) {
    for (let i = best + step; i >= from && i < times.length && pixel(i) === here; i += step) {
      if (severity(i) > severity(chosen)) chosen = i;
    }
  }
  return chosen;
}

/** Steps that people count in: tenths, then seconds, minutes, hours, days. */
const STEPS = [
  ...[0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30],
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * 60),
  ...[1, 2, 3, 6, 12, 24].map((hours) => hours * 3600),
];
const DAY = 24 * 3600;

/** The smallest step that people count in of at least so many seconds. */
export function niceStep(least: number): number {
  return STEPS.find((step) => step >= least) ?? DAY * 2 ** Math.ceil(Math.log2(least / DAY));
}

export interface Mark {
  /** Where the mark is. */
  x: number;
  /** The middle of its label, which stays inside the track. */
  label: number;
  text: string;
}

/** Marks with labels that never touch, by what `measure` says of their widths. */
export function axis(domain: Domain, width: number, measure: (text: string) => number): Mark[] {
  const room = measure(clock(domain.end));
  const perPixel = (domain.end - domain.start) / width;
  // Labels at both ends are pushed inwards, each by half a label at most.
  const step = niceStep((2 * room + 12) * perPixel);
  const marks: Mark[] = [];
  const first = Math.max(0, Math.ceil(domain.start / step - 1e-9));
  for (let k = first; k * step <= domain.end + 1e-9; k++) {
    const text = step < 1 ? clock(k * step) : clock(k * step).slice(0, -2);
    const x = timeToX(k * step, domain, width);
    const half = measure(text) / 2;
    if (2 * half > width) continue;
    marks.push({ x, label: clamp(x, half, width - half), text });
  }
  return marks;
}
