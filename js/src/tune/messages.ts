/**
 * What the Tune tab and the kernel say to each other, inside `tune` and `tuned` messages.
 *
 * Mirrored by `overshoot_nb/widget/tuning_messages.py`; a test compares names and fields. Every
 * message of a page is a request, answered by `done` or `refused`.
 */

/** How often a version is right about the labelled samples; of all fields, or of the chosen one. */
export interface Accuracy {
  n: number;
  right: number;
  accuracy: number;
  low: number;
  high: number;
}

/** A version of the prompt, as the list has it; its text is in `Prompts`. `best`: none is better. */
export interface TunedVersion {
  version: number;
  note: string;
  parent: number | null;
  temperature: number | null;
  in_force: boolean;
  answers: number;
  score: Accuracy | null;
  best: boolean;
}

/** A field of the answers. `name` is null of answers without fields; `choices` are JSON texts. */
export interface Field {
  name: string | null;
  title: string;
  choices: string[];
}

/** A version that is asked about many samples. `missing`: pictures that are kept no more. */
export interface BackfillState {
  number: number;
  version: number;
  state: string;
  status: string;
  done: number;
  total: number;
  errors: number;
  cached: number;
  missing: number;
  remaining: number;
  active: boolean;
}

/** What was chosen, in Python or here. `version` and `baseline` null: by themselves. */
export interface Chosen {
  version: number | null;
  baseline: number | null;
  field: string | null;
  first: number | null;
  last: number | null;
  only: string[];
  judge: string;
}

// ---- from the kernel ---------------------------------------------------------------------------

/** The Tune tab itself. Buffer: its module, as text. */
export interface Script {
  kind: "script";
}

/**
 * Everything but the grid. `version` and `baseline` are those in effect. `revision` grows with
 * what the grid shows: rows of an earlier one are stale.
 */
export interface TuneState {
  kind: "state";
  revision: number;
  version: number;
  baseline: number | null;
  chosen: Chosen;
  judges: string[];
  columns: number[];
  versions: TunedVersion[];
  fields: Field[];
  labelled: number;
  answered: number;
  better: number;
  worse: number;
  verdict: string;
  backfills: BackfillState[];
  undo: string;
}

/** The samples that the grid shows, ascending. Buffer: uint32 from place `start` on. */
export interface Samples {
  kind: "samples";
  start: number;
  total: number;
}

/** What one field says, and whether it is right; null where nobody knows. */
export interface Part {
  name: string;
  text: string;
  right: boolean | null;
  differs: boolean;
}

/** What a version said. `differs`: from what the version left of it said. */
export interface Cell {
  version: number;
  answered: boolean;
  ok: boolean;
  text: string;
  parts: Part[];
  right: boolean | null;
  differs: boolean;
}

/** What a field should say; `rejected` are answers that were found wrong. JSON texts. */
export interface Label {
  field: string | null;
  expected: string | null;
  rejected: string[];
}

export interface GridRow {
  sample: number;
  media_time: number;
  labels: Label[];
  cells: Cell[];
}

export interface Cells {
  kind: "cells";
  revision: number;
  rows: GridRow[];
}

/** Small pictures: buffer i is the JPEG of sample i; of one that is not kept it is empty. */
export interface Thumbs {
  kind: "thumbs";
  samples: number[];
}

/** A piece of both texts, of the old one alone or of the new one. */
export interface Segment {
  kind: "same" | "removed" | "added";
  text: string;
}

/** A part of a version other than its text and its schema, as JSON texts. */
export interface Change {
  name: string;
  old: string;
  new: string;
}

/** What changed from the baseline to the version; `schema` by lines, the same ones left out. */
export interface Diff {
  kind: "diff";
  old: number;
  new: number;
  segments: Segment[];
  schema: Segment[];
  changes: Change[];
}

/** The cell that starts a stream with a version. */
export interface Code {
  kind: "code";
  version: number;
  code: string;
}

export type FromTuning = Script | TuneState | Samples | Cells | Thumbs | Diff | Code;

// ---- to the kernel -----------------------------------------------------------------------------

export interface WantScript {
  kind: "want_script";
}

/** A view shows the tab: everything, please, and whatever is new from then on. */
export interface Open {
  kind: "open";
  view: string;
}

export interface Close {
  kind: "close";
  view: string;
}

export interface WantCells {
  kind: "want_cells";
  samples: number[];
}

export interface WantThumbs {
  kind: "want_thumbs";
  samples: number[];
}

/** Choose otherwise; what is left out stays. */
export interface Choose {
  kind: "choose";
  changes: Partial<Chosen>;
}

/** The answer of a version is right, or wrong; `field` null: in all its fields. */
export interface Mark {
  kind: "mark";
  sample: number;
  version: number;
  field: string | null;
  right: boolean;
}

/** What a field should say: JSON, or where `typed` what somebody wrote. */
export interface Expect {
  kind: "expect";
  sample: number;
  version: number;
  field: string | null;
  value: string;
  typed: boolean;
}

/** Nothing is known of it any more; `field` null: of all fields. */
export interface Unlabel {
  kind: "unlabel";
  sample: number;
  field: string | null;
}

/** Take back the last change of a label that was made on a page. */
export interface Undo {
  kind: "undo";
}

/** Ask this about the last `last` samples, or where that is null about the chosen ones. */
export interface Try {
  kind: "try";
  prompt: string;
  model: string;
  output_schema: string | null;
  max_output_tokens: number | null;
  temperature: number | null;
  note: string;
  last: number | null;
}

export interface CancelBackfill {
  kind: "cancel";
  number: number;
}

export interface ResumeBackfill {
  kind: "resume";
  number: number;
}

/** Bring a version into force. */
export interface ApplyVersion {
  kind: "apply";
  version: number;
}

export interface WantCode {
  kind: "want_code";
  version: number;
}

export type ToTuning =
  | WantScript
  | Open
  | Close
  | WantCells
  | WantThumbs
  | Choose
  | Mark
  | Expect
  | Unlabel
  | Undo
  | Try
  | CancelBackfill
  | ResumeBackfill
  | ApplyVersion
  | WantCode;
