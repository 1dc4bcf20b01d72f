/** The details that were asked for last: a sample that is looked at again is there at once. */

import type { Session, Topics } from "./session";

export type SampleDetail = Topics["detail"];

/** Details kept, with their pictures; some megabytes at most. */
const CAPACITY = 20;

export class DetailCache {
  #details = new Map<number, SampleDetail>();

  constructor(private readonly session: Session) {
    // Lives as long as the session, which drops its listeners when it closes.
    session.on("detail", (detail) => this.#put(detail), new AbortController().signal);
  }

  /** The detail of a sample, unless something became of the sample since. */
  get(sample: number): SampleDetail | undefined {
    const detail = this.#details.get(sample);
    const { timeline } = this.session;
    const fresh =
      detail !== undefined &&
      (sample >= timeline.length || timeline.fate(sample) === detail.message.fate);
    return fresh ? detail : undefined;
  }

  #put(detail: SampleDetail): void {
    this.#details.delete(detail.message.sample); // last put, last forgotten
    this.#details.set(detail.message.sample, detail);
    for (const sample of this.#details.keys()) {
      if (this.#details.size <= CAPACITY) break;
      this.#details.delete(sample);
    }
  }
}

const caches = new WeakMap<Session, DetailCache>();

/** The session's cache, shared by its views. */
export function detailsOf(session: Session): DetailCache {
  let cache = caches.get(session);
  if (cache === undefined) caches.set(session, (cache = new DetailCache(session)));
  return cache;
}
