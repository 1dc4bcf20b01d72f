/** The samples of a stream as two growing arrays: when each was, and what became of it. */

import { FATES, type Fate } from "./messages";

export class TimelineStore {
  #times = new Float64Array(1024);
  #fates = new Uint8Array(1024);
  #length = 0;
  /** First sample of the run that goes on now; those before belong to earlier runs. */
  runStart = 0;

  get length(): number {
    return this.#length;
  }

  /** Media times of all samples; a view, to be read at once. */
  get times(): Float64Array {
    return this.#times.subarray(0, this.#length);
  }

  /** Codes of `FATES`; a view, to be read at once. */
  get fates(): Uint8Array {
    return this.#fates.subarray(0, this.#length);
  }

  fate(sample: number): Fate {
    return FATES[this.#fates[sample] ?? 0] ?? "waiting";
  }

  /** Puts samples `first`... in place. False: samples before them are not known, ask anew. */
  put(first: number, times: Float64Array, fates: Uint8Array): boolean {
    if (first > this.#length) return false;
    const length = Math.max(this.#length, first + times.length);
    if (length > this.#times.length) {
      const room = Math.max(length, 2 * this.#times.length);
      const moreTimes = new Float64Array(room);
      const moreFates = new Uint8Array(room);
      moreTimes.set(this.#times);
      moreFates.set(this.#fates);
      this.#times = moreTimes;
      this.#fates = moreFates;
    }
    this.#times.set(times, first);
    this.#fates.set(fates, first);
    this.#length = length;
    return true;
  }
}
