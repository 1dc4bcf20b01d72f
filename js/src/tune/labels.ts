/** Labelling the selected sample: what buttons and keys have in common. */

import { clamp } from "../format";
import { describe, stepSample } from "../samples";
import type { Outcome } from "../session";
import type { GridRow } from "./messages";
import type { Tuning } from "./tuning";

/** The sample that labels are about: the selected one, else the newest of the grid. */
export function target({ view, samples }: Tuning): number | null {
  return view.session.selected ?? samples.at(-1) ?? null;
}

/**
 * The version whose answer about a sample is judged: the chosen one, or where that was not asked
 * about it (one watches, and has tried another on earlier samples) the newest that was.
 */
export function judged({ state, rows }: Tuning, sample: number): number | null {
  const answered = (rows.get(sample)?.cells ?? []).filter((cell) => cell.answered);
  const chosen = answered.find(({ version }) => version === state?.version);
  return (chosen ?? answered.at(-1))?.version ?? state?.version ?? null;
}

/** Where a sample is in the grid, or where it would be. */
export function placeOf(samples: Uint32Array, sample: number): number {
  let low = 0;
  let high = samples.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((samples[middle] as number) < sample) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Selects the next sample of the grid, or the one before. False: there is none. */
export function step(tuning: Tuning, by: 1 | -1): boolean {
  const { view, samples } = tuning;
  const { session } = view;
  const { selected } = session;
  if (!samples.length) return stepSample(session, by);
  let next = samples.length - 1;
  if (selected !== null) {
    const place = placeOf(samples, selected);
    next = by < 0 ? place - 1 : place + (samples[place] === selected ? 1 : 0);
  }
  return look(tuning, samples[clamp(next, 0, samples.length - 1)] as number);
}

/** Selects the first sample of the grid, or the last. */
export function end(tuning: Tuning, which: 0 | -1): boolean {
  const sample = tuning.samples.at(which);
  return sample !== undefined && look(tuning, sample);
}

/** Selects a sample and says which it is. */
function look({ view }: Tuning, sample: number): true {
  view.session.select(sample);
  view.announce(describe(view.session, sample));
  return true;
}

/** Says that the chosen version's answer is right, or wrong. */
export async function mark(tuning: Tuning, right: boolean): Promise<void> {
  const { view, field } = tuning;
  const sample = target(tuning);
  const version = sample === null ? null : judged(tuning, sample);
  if (sample === null || version === null) return;
  const name = field?.name ?? null;
  const { ok } = await labelled(tuning, sample, () =>
    tuning.ask({ kind: "mark", sample, version, field: name, right }),
  );
  if (ok) view.announce(`Sample ${sample}: v${version} is ${right ? "right" : "wrong"}`);
}

/** Says what a field should be: JSON, or where `typed` what somebody wrote. */
export async function expected(tuning: Tuning, value: string, typed: boolean): Promise<boolean> {
  const { state, view, field } = tuning;
  const sample = target(tuning);
  if (state === null || sample === null) return false;
  const { version } = state;
  const { ok } = await labelled(tuning, sample, () =>
    tuning.ask({
      kind: "expect",
      sample,
      version,
      field: field?.name ?? null,
      value,
      typed,
    }),
  );
  if (ok) view.announce(`Sample ${sample}: ${value} is expected`);
  return ok;
}

/** Picks a closed value by its number, from 1; nothing where there is no such value. */
export function pick(tuning: Tuning, number: number): void {
  const value = tuning.field?.choices[number - 1];
  if (value !== undefined) void expected(tuning, value, false);
}

export async function undo(tuning: Tuning): Promise<void> {
  const what = tuning.state?.undo;
  if (!what) return;
  const { ok } = await tuning.ask({ kind: "undo" });
  if (ok) tuning.view.announce(`Undone: ${what}`);
}

/** A sample that goes from the grid by being labelled hands the selection on to the next. */
async function labelled(
  tuning: Tuning,
  sample: number,
  act: () => Promise<Outcome>,
): Promise<Outcome> {
  const { view, samples, state } = tuning;
  const next = samples[placeOf(samples, sample) + 1];
  const outcome = await act();
  const goes = outcome.ok && state?.chosen.only.includes("unlabelled");
  if (goes && next !== undefined && view.session.selected === sample) view.session.select(next);
  return outcome;
}

/** What is known of a row's labels, in words; "" for nothing. */
export function expectation({ labels }: GridRow, field: string | null): string {
  const wanted = labels.filter((label) => field === null || label.field === field);
  const one = wanted.length === 1 && (field !== null || wanted[0]?.field === null);
  return wanted
    .map(({ field: name, expected: value, rejected }) => {
      const words = value === null ? `not ${rejected.map(plain).join(", ")}` : plain(value);
      return one ? words : `${name ?? "answer"}: ${words}`;
    })
    .join("\n");
}

/** JSON as people read it: a text without its quotes. */
export function plain(json: string): string {
  try {
    const value: unknown = JSON.parse(json);
    return typeof value === "string" ? value : json;
  } catch {
    return json;
  }
}
