/** The details that were asked for last: a sample that is looked at again is there at once. */

import type { SampleDetail } from "./session";
import type { TimelineStore } from "./timeline_store";

/** Details kept, with their pictures; some megabytes at most. */
const CAPACITY = 20;

export class DetailCache {
  #details = new Map<number, SampleDetail>();

  constructor(private readonly timeline: TimelineStore) {}

  /** The detail of a sample, unless something became of the sample since. */
  get(sample: number): SampleDetail | undefined {
    const detail = this.#details.get(sample);
    const fresh =
      sample >= this.timeline.length || this.timeline.fate(sample) === detail?.message.fate;
    return fresh ? detail : undefined;
  }

  put(detail: SampleDetail): void {
    const { sample } = detail.message;
    this.#details.delete(sample); // last put, last forgotten
    this.#details.set(sample, detail);
    for (const oldest of this.#details.keys()) {
      if (this.#details.size <= CAPACITY) break;
      this.#details.delete(oldest);
    }
  }
}
