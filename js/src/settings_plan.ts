/**
 * What becomes of edited settings: which changes a running stream takes at once, which wait for
 * a restart, and which cannot be.
 */

import { plural } from "./format";
import type { Changes, Figures, Limits, Mode, Settings } from "./messages";
import { checkNumber, clipFrames, rateText } from "./ranges";

/** The numbers of the form in their order; `mode` where only one has it. */
export const NUMBERS = {
  interval_seconds: { label: "Interval", unit: "s", step: 0.1, mode: "frame" },
  target_fps: { label: "Frames a second", unit: "fps", step: 1, mode: "clip" },
  clip_length_seconds: { label: "Clip length", unit: "s", step: 0.1, mode: "clip" },
  delay_seconds: { label: "A clip every", unit: "s", step: 0.1, mode: "clip" },
  max_output_tokens: { label: "Max output tokens", unit: "", step: 1, mode: null },
} as const;
export type NumberName = keyof typeof NUMBERS;
export const NUMBER_NAMES = Object.keys(NUMBERS) as NumberName[];

/** What was chosen or typed and is not yet in force; numbers as typed. */
export type Edits = { mode?: Mode; model?: string } & Partial<Record<NumberName, string>>;
export type EditName = keyof Edits;

export interface Plan {
  mode: Mode;
  model: string;
  /** The mode's numbers as typed, as in force, or by default. */
  texts: Partial<Record<NumberName, string>>;
  /** Those of them that can be taken. */
  values: Partial<Record<NumberName, number | null>>;
  now: Changes;
  later: Changes;
  errors: Partial<Record<EditName, string>>;
}

/** `live` tells whether a setting changes on the stream as it is. */
export function plan(
  edits: Edits,
  settings: Settings,
  limits: Limits | null,
  live: (setting: string) => boolean,
): Plan {
  const mode = edits.mode ?? settings.mode;
  const model = (edits.model ?? settings.model).trim();
  const result: Plan = { mode, model, texts: {}, values: {}, now: {}, later: {}, errors: {} };
  const { texts, values, errors } = result;
  for (const name of NUMBER_NAMES) {
    const { unit, mode: only } = NUMBERS[name];
    if (only && only !== mode) continue;
    const limit = limits?.[name];
    const text = edits[name] ?? String(settings[name] ?? limit?.default ?? "");
    texts[name] = text;
    if (!only && text.trim() === "") {
      values[name] = null; // the server's own limit
    } else if (limit) {
      const checked = checkNumber(text, limit, unit);
      if (checked.error === undefined) values[name] = checked.value;
      else errors[name] = checked.error;
    } else values[name] = settings[name];
  }
  const { target_fps: fps, clip_length_seconds: length } = values;
  if (limits && fps && length) {
    const frames = clipFrames(fps, length);
    const least = limits.min_clip_frames;
    const text = `${plural(frames, "frame")} a clip: at least ${least}`;
    if (frames < least) errors.clip_length_seconds = text;
  }
  if (!model) errors.model = "A model is needed";
  const wanted: Record<string, unknown> = { mode, model, ...values };
  for (const [name, value] of Object.entries(wanted)) {
    if (errors[name as EditName] || value === settings[name as EditName]) continue;
    const to = live(name) && mode === settings.mode ? result.now : result.later;
    Object.assign(to, { [name]: value });
  }
  return result;
}

/** "2 requests/s · up to 256 output tokens/s · ≈ 640 tokens/s measured (320 an answer)". */
export function rates({ values }: Plan, { total_tokens: tokens, results }: Figures): string {
  const seconds = values.interval_seconds ?? values.delay_seconds;
  if (!seconds) return "";
  const parts = [`${rateText(1 / seconds)} request${seconds === 1 ? "" : "s"}/s`];
  const most = values.max_output_tokens;
  if (most) parts.push(`up to ${rateText(most / seconds)} output tokens/s`);
  if (tokens && results) {
    const each = tokens / results;
    parts.push(`≈ ${rateText(each / seconds)} tokens/s measured (${rateText(each)} an answer)`);
  }
  return parts.join(" · ");
}
