/** Draws the timeline's ticks and its axis. A fate is told by height and form, then by colour. */

import { clamp } from "./format";
import { FATES, type Fate } from "./messages";
import { axis, barsOf, bins, type Bar, type Domain } from "./timeline_layout";
import type { TimelineStore } from "./timeline_store";

/** Pixels: the whole track, and the line that ticks stand on. */
export const HEIGHT = 48;
export const GROUND = 30;

const COLOURS: Record<Fate, string> = {
  result: "--ov-ok",
  waiting: "--ov-waiting",
  error: "--ov-error",
  drop: "--ov-drop",
};
/** The widest tick, and the share of the room between two ticks that one takes. */
const WIDEST = 5;
const SHARE = 0.62;

/** Draws all of a canvas of `width` CSS pixels; `style` holds the colours. */
export function drawTimeline(
  canvas: HTMLCanvasElement,
  store: TimelineStore,
  domain: Domain,
  width: number,
  style: CSSStyleDeclaration,
): void {
  const context = canvas.getContext("2d");
  if (context === null || width <= 0) return;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(HEIGHT * ratio);
  context.scale(ratio, ratio);
  const colour = (name: string) => style.getPropertyValue(name);

  context.fillStyle = colour("--ov-line-strong");
  context.fillRect(0, GROUND, width, 1);
  context.font = `10.5px ${style.fontFamily}`;
  context.textAlign = "center";
  context.textBaseline = "bottom";
  for (const mark of axis(domain, width, (text) => context.measureText(text).width)) {
    context.fillStyle = colour("--ov-line-strong");
    context.fillRect(Math.min(width - 1, Math.floor(mark.x)), GROUND, 1, 4);
    context.fillStyle = colour("--ov-muted");
    context.fillText(mark.text, mark.label, HEIGHT);
  }

  const counts = bins(store.times, store.fates, store.runStart, domain, Math.floor(width));
  const bar = barWidth(counts);
  const columns = counts.length / FATES.length;
  const drawn = new Map<Fate, [number, Bar][]>(FATES.map((fate) => [fate, []]));
  for (let column = 0; column < columns; column++) {
    for (const one of barsOf(counts, column)) drawn.get(one.fate)?.push([column, one]);
  }
  // All of one colour at once; drops last, for they stand in front.
  for (const [fate, bars] of drawn) {
    context.fillStyle = context.strokeStyle = colour(COLOURS[fate]);
    for (const [column, { low, high }] of bars) {
      const left = clamp(column - (bar >> 1), 0, columns - bar);
      if (fate === "waiting" && bar > 2) {
        context.strokeRect(left + 0.5, GROUND - high + 0.5, bar - 1, high - 0.5);
      } else {
        context.fillRect(left, GROUND - high, bar, high - low);
      }
    }
  }
}

/** Whole pixels for a tick: as wide as the closest of them allow. */
export function barWidth(counts: Uint32Array): number {
  let closest = WIDEST / SHARE;
  let before = -Infinity;
  counts.forEach((n, place) => {
    const column = Math.floor(place / FATES.length);
    if (n === 0 || column === before) return;
    closest = Math.min(closest, column - before);
    before = column;
  });
  return Math.max(1, Math.floor(closest * SHARE));
}
