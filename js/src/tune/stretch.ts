/** A stretch of the timeline: dragged over, or from the selected sample to one that is
 * clicked with shift. It says which samples are tried and shown. */

import { h, taken } from "../dom";
import { lowerBound, timeToX, xToTime } from "../timeline_layout";
import type { Tuning } from "./tuning";

/** Pixels that a press may wander and still be a click. */
const STILL = 4;

export function stretchOn(tuning: Tuning, shown: () => boolean): { render(): void } {
  const { view } = tuning;
  const { session, signal, root, track } = view;
  const el = root.querySelector<HTMLElement>(".ov-track");
  if (el === null) return { render: () => undefined };
  const band = h("i", { class: "ov-tune-band", hidden: true });
  el.append(band);
  let pressed: number | null = null;
  let dragged: [number, number] | null = null;
  let swallow = false;

  const x = (event: MouseEvent) => event.clientX - el.getBoundingClientRect().left;
  /** Samples of this run between two places. */
  const between = (a: number, b: number): [number, number] | null => {
    if (track.domain === null) return null;
    const { times, runStart } = session.timeline;
    const width = el.clientWidth;
    const [left, right] = [Math.min(a, b), Math.max(a, b)];
    const first = lowerBound(times, xToTime(left, track.domain, width), runStart);
    const end = lowerBound(times, xToTime(right, track.domain, width) + 1e-9, runStart);
    return end > first ? [first, end - 1] : null;
  };
  const choose = (range: [number, number] | null) => {
    void tuning.choose({ first: range?.[0] ?? null, last: range?.[1] ?? null });
  };
  const render = () => {
    const { first = null, last = null } = tuning.state?.chosen ?? {};
    const { times, runStart } = session.timeline;
    const [from, to] = dragged ?? [first, last];
    // The timeline is of this run alone: each begins at zero.
    const earlier = to === null || to < runStart;
    const start = from === null ? undefined : times[Math.max(from, runStart)];
    const end = earlier ? undefined : times[to];
    band.hidden = !shown() || track.domain === null || start === undefined || end === undefined;
    if (band.hidden || track.domain === null) return;
    const left = timeToX(start as number, track.domain, el.clientWidth);
    const right = timeToX(end as number, track.domain, el.clientWidth);
    band.style.left = `${left - 3}px`;
    band.style.width = `${right - left + 6}px`;
  };
  const { moved } = track;
  track.moved = () => {
    moved();
    render();
  };

  const on = <K extends keyof HTMLElementEventMap>(
    type: K,
    listener: (event: HTMLElementEventMap[K]) => void,
  ) => el.addEventListener(type, listener, { signal, capture: true });
  on("pointerdown", (event) => {
    swallow = false;
    if (!shown() || event.button !== 0) return;
    pressed = x(event);
  });
  on("pointermove", (event) => {
    if (pressed === null) return;
    if (dragged === null && Math.abs(x(event) - pressed) < STILL) return;
    if (dragged === null) el.setPointerCapture?.(event.pointerId);
    dragged = between(pressed, x(event)) ?? dragged;
    swallow = true;
    render();
  });
  const release = (done: boolean) => {
    if (done && dragged !== null) choose(dragged);
    pressed = dragged = null;
    render();
  };
  on("pointerup", () => release(true));
  on("pointercancel", () => release(false));
  on("click", (event) => {
    const { selected } = session;
    if (swallow) taken(event); // the end of a drag selects no sample
    else if (shown() && event.shiftKey) {
      taken(event);
      const at = between(x(event) - 8, x(event) + 8);
      const anchor = tuning.state?.chosen.first ?? selected;
      if (at === null) return;
      const sample = Math.round((at[0] + at[1]) / 2);
      const start = anchor ?? sample;
      choose([Math.min(start, sample), Math.max(start, sample)]);
    }
    swallow = false;
  });
  tuning.on("state", render);
  return { render };
}
