/** What a view has to tell its user, put by any part and shown by the banner. */

import { atEnd } from "./later";
import type { Problem } from "./messages";

export interface Notice {
  level: "error" | "info";
  problem: Problem;
  /** What can be done about it; the notice goes when it is pressed. */
  action?: { label: string; run: () => void };
  /** Whether it goes when its reader has read it; false for what holds until it is mended. */
  dismissable: boolean;
}

export class Notices {
  #notices = new Map<string, Notice>();
  #listeners = new Set<() => void>();

  /** Notices by what they are about, in the order in which they came. */
  get all(): ReadonlyMap<string, Notice> {
    return this.#notices;
  }

  /** Shows a notice in place of the last one about the same; null takes it away. */
  put(about: string, notice: Notice | null): void {
    if (notice !== null) this.#notices.set(about, notice);
    else if (!this.#notices.delete(about)) return;
    for (const listener of this.#listeners) listener();
  }

  /** Tells of something that was tried and did not succeed. */
  fail(about: string, problem: Problem): void {
    this.put(about, { level: "error", problem, dismissable: true });
  }

  onChange(listener: () => void, signal: AbortSignal): void {
    this.#listeners.add(listener);
    atEnd(signal, () => this.#listeners.delete(listener));
  }
}
