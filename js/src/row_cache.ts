/** Rows that this page holds: the newest, and those that were looked at. Bounded. */

import type { Row } from "./messages";

/** Rows kept; about a megabyte. */
export const CAPACITY = 4000;
/** Rows asked for in one message. */
export const PAGE = 200;
/** Milliseconds after which a row that did not come is asked for again. */
const PATIENCE = 3000;

export class RowCache {
  #rows = new Map<number, Row>();
  #asked = new Map<number, number>();
  #waiting = new Set<number>();
  #scheduled = false;
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
    for (const number of this.#rows.keys()) {
      if (this.#rows.size <= CAPACITY) break;
      this.#rows.delete(number);
    }
  }

  /** The row, or undefined, and then it is on its way. */
  get(number: number): Row | undefined {
    const row = this.#rows.get(number);
    if (row === undefined) this.#want(number);
    return row;
  }

  /** The row if it is here. */
  peek(number: number): Row | undefined {
    return this.#rows.get(number);
  }

  #want(number: number): void {
    const asked = this.#asked.get(number);
    if (asked !== undefined && performance.now() - asked < PATIENCE) return;
    this.#waiting.add(number);
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      const wanted = [...this.#waiting];
      this.#waiting.clear();
      const now = performance.now();
      for (const number of wanted) this.#asked.set(number, now);
      for (let i = 0; i < wanted.length; i += PAGE) this.ask(wanted.slice(i, i + PAGE));
    });
  }
}
