/** What is known of a sample without asking the kernel, and steps from one to the next. */

import { setAttr, setText, span } from "./dom";
import { clamp, clock } from "./format";
import type { Fate } from "./messages";
import type { Session } from "./session";

/** What a fate is called on the screen. */
const wordOf = (fate: Fate) => (fate === "drop" ? "dropped" : fate);

/** A fate in its word, with a mark of its colour and form; hidden where none is known. */
export function fateWord(): { el: HTMLElement; show(fate: Fate | null): void } {
  const el = span("ov-fate");
  return {
    el,
    show(fate) {
      el.hidden = fate === null;
      setText(el, fate ? wordOf(fate) : "");
      setAttr(el, "data-fate", fate);
    },
  };
}

/**
 * Selects the sample so many steps away. The first step of all leads to the newest: that is what
 * one has just seen. False: there are no samples.
 */
export function stepSample(session: Session, by: number): boolean {
  const { selected, timeline } = session;
  if (timeline.length === 0) return false;
  const newest = timeline.length - 1;
  session.select(selected === null ? newest : clamp(selected + by, 0, newest));
  return true;
}

/** Selects the first or the newest sample of the run. False: it has none. */
export function endSample(session: Session, end: "first" | "newest"): boolean {
  const { length, runStart } = session.timeline;
  if (length <= runStart) return false;
  session.select(end === "first" ? runStart : length - 1);
  return true;
}

/** "sample 12 at 0:06.0, result: HAWKS 4 ..." */
export function describe(session: Session, sample: number): string {
  const row = session.rows.ofSample(sample);
  const time = session.timeline.times[sample] ?? row?.media_time;
  const fate = sample < session.timeline.length ? session.timeline.fate(sample) : null;
  const at = time === undefined ? "" : ` at ${clock(time)}`;
  const answer = row === undefined ? "" : `: ${(row.error ?? row.text).slice(0, 120)}`;
  return `sample ${sample}${at}${fate === null ? "" : `, ${wordOf(fate)}`}${answer}`;
}
