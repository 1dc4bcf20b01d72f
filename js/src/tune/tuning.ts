/**
 * What the kernel said for the Tune tab, kept for its parts to read.
 *
 * Everything that can be chosen or labelled is the kernel's: a click asks for it, and what comes
 * back is shown, in this view and in every other.
 */

import { uniqueId } from "../dom";
import { atEnd } from "../later";
import { bytes } from "../messages";
import type { Outcome } from "../session";
import type { View } from "../view";
import type {
  Chosen,
  Code,
  Diff,
  Field,
  FromTuning,
  GridRow,
  ToTuning,
  TuneState,
  TunedVersion,
} from "./messages";

/** Small pictures kept; a megabyte or two. */
const THUMBS = 600;
/** Rows kept. */
const ROWS = 2000;

export interface News {
  state: TuneState;
  samples: Uint32Array;
  cells: null;
  thumbs: null;
  diff: Diff;
  code: Code;
}

type Listener<T> = (value: T) => void;

export class Tuning {
  state: TuneState | null = null;
  /** Samples of the grid, ascending. */
  samples = new Uint32Array(0);
  diff: Diff | null = null;
  /** By sample; null: its picture is not kept. */
  readonly thumbs = new Map<number, Blob | null>();
  /** Where stretching by keys began, and the sample that it has reached. */
  stretched: { from: number; at: number } | null = null;
  readonly rows = new Map<number, GridRow>();
  #revisions = new Map<number, number>();
  #asked = new Set<number>();
  #askedThumbs = new Set<number>();
  #askedAt = 0;
  #listeners = new Map<keyof News, Set<Listener<never>>>();
  #open = false;
  /** Changes on their way to the kernel. */
  #choosing = new Set<Partial<Chosen>>();
  readonly #id = uniqueId();

  constructor(readonly view: View) {
    const { session, signal } = view;
    session.on("tuned", ({ message, buffers }) => this.#receive(message, buffers), signal);
    // A kernel that has forgotten this page is told anew that the tab is shown.
    session.on("welcome", () => this.#open && this.show(true), signal);
    atEnd(signal, () => {
      this.#listeners.clear();
      if (this.#open) this.show(false);
    });
  }

  on<T extends keyof News>(topics: T | readonly T[], listener: Listener<News[T]>): void {
    for (const topic of [topics].flat() as T[]) {
      const listeners = this.#listeners.get(topic) ?? new Set();
      this.#listeners.set(topic, listeners.add(listener as Listener<never>));
    }
  }

  /** The tab is shown, or no longer. */
  show(shown: boolean): void {
    this.#open = shown;
    this.#asked.clear();
    this.#askedThumbs.clear();
    void this.view.session.tune({ kind: shown ? "open" : "close", view: this.#id });
  }

  /** Asks the kernel for something; a refusal is told in the banner. */
  async ask(message: ToTuning): Promise<Outcome> {
    const { session, notices } = this.view;
    notices.put("tune", null);
    const outcome = await session.tune(message);
    if (!outcome.ok) notices.fail("tune", outcome.problem);
    return outcome;
  }

  /** Chooses otherwise: here at once, so that a key that follows means it; then everywhere. */
  async choose(changes: Partial<Chosen>): Promise<void> {
    this.#choosing.add(changes);
    if (this.state !== null) this.#take(this.state);
    const { ok } = await this.ask({ kind: "choose", changes });
    this.#choosing.delete(changes);
    if (!ok && this.#open) this.show(true); // what holds is asked for anew
  }

  /** A state from the kernel, with what was chosen here since. */
  #take(state: TuneState): void {
    this.state = state;
    for (const changes of this.#choosing) {
      this.state = {
        ...this.state,
        chosen: { ...this.state.chosen, ...changes },
        version: changes.version ?? this.state.version,
        baseline: changes.baseline ?? this.state.baseline,
      };
    }
    this.#emit("state", this.state);
  }

  version(number: number | null | undefined): TunedVersion | undefined {
    return this.state?.versions.find(({ version }) => version === number);
  }

  /** The field that labels are about: the chosen one, or the only one; undefined: all of several. */
  get field(): Field | undefined {
    const { fields = [], chosen } = this.state ?? {};
    const found = fields.find(({ name }) => name === chosen?.field);
    return found ?? (fields.length === 1 ? fields[0] : undefined);
  }

  /** Asks for what is missing or stale of these samples. */
  want(samples: number[]): void {
    const revision = this.state?.revision ?? 0;
    if (revision !== this.#askedAt) this.#asked.clear();
    this.#askedAt = revision;
    const rows = samples.filter(
      (sample) => this.#revisions.get(sample) !== revision && !this.#asked.has(sample),
    );
    this.#request("want_cells", rows, this.#asked);
    const thumbs = samples.filter(
      (sample) => !this.thumbs.has(sample) && !this.#askedThumbs.has(sample),
    );
    this.#request("want_thumbs", thumbs, this.#askedThumbs);
  }

  #request(kind: "want_cells" | "want_thumbs", samples: number[], asked: Set<number>): void {
    if (!samples.length) return;
    for (const sample of samples) asked.add(sample);
    // Answered or not: what did not come may be asked for again.
    void this.view.session.tune({ kind, samples }).then(() => {
      for (const sample of samples) asked.delete(sample);
    });
  }

  #emit<T extends keyof News>(topic: T, value: News[T]): void {
    for (const listener of this.#listeners.get(topic) ?? []) (listener as Listener<News[T]>)(value);
  }

  #receive(message: FromTuning, buffers: DataView[]): void {
    switch (message.kind) {
      case "state":
        this.#take(message);
        return;
      case "samples": {
        const more = new Uint32Array(bytes(buffers[0]).buffer);
        if (message.start > this.samples.length) return; // those before them will come
        const all = new Uint32Array(message.total);
        all.set(this.samples.subarray(0, message.start));
        all.set(more, message.start);
        this.samples = all;
        this.#emit("samples", all);
        return;
      }
      case "cells":
        for (const row of message.rows) {
          this.rows.delete(row.sample);
          this.rows.set(row.sample, row);
          this.#revisions.set(row.sample, message.revision);
        }
        forget(this.rows, ROWS, (sample) => this.#revisions.delete(sample));
        this.#emit("cells", null);
        return;
      case "thumbs":
        message.samples.forEach((sample, i) => {
          const jpeg = bytes(buffers[i]);
          this.thumbs.set(sample, jpeg.length ? new Blob([jpeg], { type: "image/jpeg" }) : null);
        });
        forget(this.thumbs, THUMBS);
        this.#emit("thumbs", null);
        return;
      case "diff":
        this.diff = message;
        this.#emit("diff", message);
        return;
      case "code":
        this.#emit("code", message);
        return;
    }
  }
}

/** Lets the oldest entries go. */
function forget<V>(
  map: Map<number, V>,
  most: number,
  gone: (key: number) => void = () => undefined,
) {
  for (const key of map.keys()) {
    if (map.size <= most) return;
    map.delete(key);
    gone(key);
  }
}
