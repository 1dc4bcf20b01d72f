/**
 * Rows that this page holds: the newest, and those that were looked at. Bounded.
 *
 * A list says which rows it shows (`watch`), and only those are asked for, a little at a time:
 * what was scrolled past before its turn came is never asked for.
 */

import type { Row } from "./messages";

/** Rows kept; about a megabyte. */
export const CAPACITY = 4000;
/** Rows asked for in one message. */
export const PAGE = 200;
/** Milliseconds between two looks at what is missing. */
export const PAUSE = 60;
/** Milliseconds after which a row that did not come is asked for again. */
export const PATIENCE = 3000;

export class RowCache {
  #rows = new Map<number, Row>();
  /** When rows that are missing were asked for. */
  #asked = new Map<number, number>();
  #watched = new Map<object, readonly number[]>();
  /** What was watched when the timer was set, to see how far the lists have moved since. */
  #before = new Set<number>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Whether the timer only waits for rows that were asked for. */
  #patient = false;
  /** How many rows the stream has. */
  total = 0;

  constructor(private readonly ask: (rows: number[]) => void) {}

  get size(): number {
    return this.#rows.size;
  }

  put(rows: readonly Row[]): void {
    for (const row of rows) {
      this.#rows.delete(row.row); // last put, last forgotten
      this.#rows.set(row.row, row);
      this.#asked.delete(row.row);
    }
    if (this.#rows.size <= CAPACITY) return;
    const watched = this.#inView();
    for (const number of this.#rows.keys()) {
      if (this.#rows.size <= CAPACITY) break;
      if (!watched.has(number)) this.#rows.delete(number);
    }
  }

  /** The row if it is here. */
  peek(number: number): Row | undefined {
    return this.#rows.get(number);
  }

  /** The row of a sample if it is here. */
  ofSample(sample: number): Row | undefined {
    for (const row of this.#rows.values()) if (row.sample === sample) return row;
    return undefined;
  }

  /** From now on `viewer` shows these rows and no others; those that are missing will come. */
  watch(viewer: object, numbers: readonly number[]): void {
    if (numbers.length === 0) this.#watched.delete(viewer);
    else this.#watched.set(viewer, numbers);
    const idle = this.#timer === undefined;
    if (this.#watched.size === 0) this.#stop();
    else if (idle || this.#patient) {
      const due = (number: number) => !this.#rows.has(number) && (idle || !this.#asked.has(number));
      if (numbers.some(due)) this.#look(PAUSE);
    }
  }

  #inView(): Set<number> {
    return new Set([...this.#watched.values()].flat());
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#patient = false;
  }

  #look(delay: number): void {
    this.#stop();
    this.#before = this.#inView();
    this.#patient = delay > PAUSE;
    this.#timer = setTimeout(() => this.#fetch(), delay);
  }

  #fetch(): void {
    this.#stop();
    const watched = this.#inView();
    const missing = [...watched].filter((number) => !this.#rows.has(number));
    if (missing.length === 0) return;
    if (![...watched].some((number) => this.#before.has(number))) {
      this.#look(PAUSE); // scrolling fast: wait until the list stays for a moment
      return;
    }
    const now = performance.now();
    for (const [number, at] of this.#asked) {
      if (now - at >= PATIENCE) this.#asked.delete(number); // lost, or the kernel is busy
    }
    const wanted = missing.filter((number) => !this.#asked.has(number));
    for (const number of wanted) this.#asked.set(number, now);
    for (let i = 0; i < wanted.length; i += PAGE) this.ask(wanted.slice(i, i + PAGE));
    this.#look(PATIENCE);
  }
}
