/**
 * Every message between kernel and page: one union for each direction, told apart by `kind`.
 *
 * Mirrored by `overshoot_nb/widget/messages.py`; a test compares names and fields. Times called
 * `media_time` are seconds since the first frame; `sent_at`, `shown_at` and `at` are epoch seconds
 * of the kernel's clock; latencies are milliseconds.
 */

import type { FromTuning, ToTuning } from "./tune/messages";

export type State = "starting" | "running" | "paused" | "ended" | "failed" | "closed";
export type Mode = "frame" | "clip";

/** What a stream is asked to do. `null`: not of this mode, or not set. */
export interface Settings {
  mode: Mode;
  model: string;
  interval_seconds: number | null;
  target_fps: number | null;
  clip_length_seconds: number | null;
  delay_seconds: number | null;
  output_schema: string | null;
  max_output_tokens: number | null;
}

/** Counts of this moment, as `stream.stats`. */
export interface Figures {
  samples: number;
  results: number;
  errors: number;
  drops: Record<string, number>;
  waiting: number;
  in_flight: number;
  latency_p50_ms: number | null;
  latency_p95_ms: number | null;
  total_tokens: number;
  completion_tokens: number;
  cost_cents: number | null;
}

/** One answer. `chips` are the fields of a structured answer, as texts. */
export interface Row {
  row: number;
  id: string;
  sample: number;
  media_time: number;
  at: number;
  ok: boolean;
  text: string;
  cut: boolean;
  chips: [string, string][] | null;
  error: string | null;
  latency_ms: number | null;
  tokens: number | null;
  version: number;
}

/** A prompt that ran, with all that was asked along with it. */
export interface PromptVersion {
  version: number;
  text: string;
  model: string;
  output_schema: string | null;
  max_output_tokens: number | null;
  at: number;
}

export interface ModelInfo {
  model: string;
  ready: boolean;
  status: string;
}

/** Allowed numbers; `low` itself is not one where `open`, and there is no end where `high` is null. */
export interface Range {
  low: number;
  high: number | null;
  open: boolean;
  whole: boolean;
  default: number | null;
}

export interface Limits {
  interval_seconds: Range;
  target_fps: Range;
  clip_length_seconds: Range;
  delay_seconds: Range;
  max_output_tokens: Range;
  min_clip_frames: number;
}

/** A failure in words, and what can be done about it. */
export interface Problem {
  message: string;
  advice: string;
}

/** What became of a sample; the codes of `Ticks`. */
export const FATES = ["waiting", "result", "error", "drop"] as const;
export type Fate = (typeof FATES)[number];

// ---- from the kernel ---------------------------------------------------------------------------

/** Answer to `hello`: everything that a page needs to begin. */
export interface Welcome {
  kind: "welcome";
  page: string;
  live: boolean;
  realtime: boolean;
  duration: number | null;
  width: number;
  height: number;
  limits: Limits;
  live_changes: string[];
  prompts: PromptVersion[];
  query: string;
}

/** State and figures; sent when they change and as the answer to a `beat`. */
export interface Status {
  kind: "status";
  sent_at: number;
  stream_id: string;
  state: State;
  status: string;
  problem: Problem | null;
  settings: Settings;
  prompt_version: number;
  figures: Figures;
  latencies: number[];
  rows: number;
  samples: number;
  run_start: number;
  media_time: number;
}

/** A picture of the video, with the JPEG as its buffer; to be acknowledged. */
export interface Picture {
  kind: "picture";
  seq: number;
  media_time: number;
  shown_at: number;
  sent_at: number;
  sample: number | null;
  /** Of a recording that is played. */
  played: boolean;
  /** What belongs to what is played: the answer about it, or about what came before it. */
  answer: Row | null;
}

/** Samples `first` to `first + n - 1`. Buffers: n float64 media times, n uint8 fates. */
export interface Ticks {
  kind: "ticks";
  first: number;
}

/** Rows that are new, or that were asked for. `total` is how many there are by now. */
export interface Rows {
  kind: "rows";
  total: number;
  rows: Row[];
}

/** Rows that fit a page's filter. Buffer: uint32 row numbers, ascending; `append` adds to them. */
export interface Matches {
  kind: "matches";
  page: string;
  query: string;
  append: boolean;
}

/** A sample as a whole. Buffer: the JPEG, where it is kept. */
export interface Detail {
  kind: "detail";
  sample: number;
  media_time: number;
  fate: Fate;
  reason: string | null;
  row: Row | null;
  text: string;
  prompt: string;
  model: string;
  frames: number;
  missing: string | null;
}

export interface Prompts {
  kind: "prompts";
  prompts: PromptVersion[];
}

export interface Models {
  kind: "models";
  models: ModelInfo[];
  error: string | null;
}

/** A request was carried out. */
export interface Done {
  kind: "done";
  request: number;
  page: string;
}

/** A request was not carried out. `restart`: it can be, by a restart that keeps the rows. */
export interface Refused {
  kind: "refused";
  request: number;
  page: string;
  problem: Problem;
  restart: boolean;
}

/** A word of the Tune tab's own. Buffers: as `message` says. */
export interface Tuned {
  kind: "tuned";
  page: string;
  message: FromTuning;
}

export type FromKernel =
  | Welcome
  | Status
  | Picture
  | Ticks
  | Rows
  | Matches
  | Detail
  | Prompts
  | Models
  | Done
  | Refused
  | Tuned;

// ---- to the kernel -----------------------------------------------------------------------------

/** A page begins to show the stream; repeated until it is welcomed. */
export interface Hello {
  kind: "hello";
  page: string;
  visible: boolean;
}

/** Still here; `visible` says whether pictures are wanted. */
export interface Beat {
  kind: "beat";
  page: string;
  visible: boolean;
}

export interface Bye {
  kind: "bye";
  page: string;
}

/** Picture `seq` and all before it were drawn. */
export interface Ack {
  kind: "ack";
  page: string;
  seq: number;
}

export interface WantRows {
  kind: "want_rows";
  rows: number[];
}

export interface Filter {
  kind: "filter";
  page: string;
  query: string;
}

export interface Look {
  kind: "look";
  sample: number;
}

export interface Control {
  kind: "control";
  page: string;
  request: number;
  action: "pause" | "resume" | "stop" | "restart";
}

/** New values; those left out stay. `restart` allows what a running stream cannot change. */
export interface Update {
  kind: "update";
  page: string;
  request: number;
  changes: Changes;
  restart: boolean;
}

/** Is this text a JSON schema that answers could fit? Answered by `done` or `refused`. */
export interface CheckSchema {
  kind: "check_schema";
  page: string;
  request: number;
  schema: string;
}

export interface WantModels {
  kind: "want_models";
}

/** A request of the Tune tab. */
export interface Tune {
  kind: "tune";
  page: string;
  request: number;
  message: ToTuning;
}

export type FromPage =
  | Hello
  | Beat
  | Bye
  | Ack
  | WantRows
  | Filter
  | Look
  | Control
  | Update
  | CheckSchema
  | WantModels
  | Tune;

/** `version` is all that one asks; `output_schema` is JSON text; `null` takes a setting away. */
export interface Changes {
  version?: number;
  prompt?: string;
  mode?: Mode;
  model?: string;
  interval_seconds?: number;
  target_fps?: number;
  clip_length_seconds?: number;
  delay_seconds?: number;
  output_schema?: string | null;
  max_output_tokens?: number | null;
}

const FROM_KERNEL = new Set<string>([
  "welcome",
  "status",
  "picture",
  "ticks",
  "rows",
  "matches",
  "detail",
  "prompts",
  "models",
  "done",
  "refused",
  "tuned",
] satisfies FromKernel["kind"][]);

/** The message, or null where it is none of ours: of a newer kernel, or of another widget. */
export function parse(content: unknown): FromKernel | null {
  if (typeof content !== "object" || content === null) return null;
  const kind = (content as { kind?: unknown }).kind;
  return typeof kind === "string" && FROM_KERNEL.has(kind) ? (content as FromKernel) : null;
}

/** A copy of a buffer as bytes: hosts hand over a DataView that may begin anywhere. */
export function bytes(view: DataView | undefined): Uint8Array<ArrayBuffer> {
  if (view === undefined) return new Uint8Array(0);
  // A copy is aligned, so that wider arrays can be laid over it.
  return new Uint8Array(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
}

/** The numbers of a `ticks` message: media times and fates of `first`, `first + 1`, ... */
export function decodeTicks(buffers: readonly DataView[]): {
  times: Float64Array;
  fates: Uint8Array;
} {
  const times = new Float64Array(bytes(buffers[0]).buffer);
  const fates = bytes(buffers[1]);
  if (times.length !== fates.length) {
    throw new RangeError(`${times.length} times for ${fates.length} fates`);
  }
  return { times, fates };
}

/** The row numbers of a `matches` message. */
export function decodeMatches(buffers: readonly DataView[]): Uint32Array {
  return new Uint32Array(bytes(buffers[0]).buffer);
}

/** The picture that came with a message. */
export function jpegOf(buffers: readonly DataView[]): Blob {
  return new Blob([bytes(buffers[0])], { type: "image/jpeg" });
}
