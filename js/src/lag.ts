/** How far what is seen is behind what happens, told calmly. */

/** Weight of a new measurement. */
const WEIGHT = 0.15;
/** Seconds without a picture after which the waiting itself counts as being behind. */
const STALL = 1.5;
/** Of a file, smaller delays are nobody's concern. */
const SUBTLE = 0.5;

export class Lag {
  #smooth: number | null = null;

  /** A picture was drawn so many seconds after its moment. */
  add(seconds: number): void {
    this.#smooth ??= seconds;
    this.#smooth += WEIGHT * (seconds - this.#smooth);
  }

  /** Forgets: what comes next is another stretch of video. */
  reset(): void {
    this.#smooth = null;
  }

  /** The delay in seconds; `age` is that of the newest picture by now. Null: not known. */
  value(age: number): number | null {
    if (this.#smooth === null) return null;
    return age - this.#smooth > STALL ? age : this.#smooth;
  }
}

/** What is said of a delay: always of a live source, of a file only when it can be noticed. */
export function lagText(lag: number | null, live: boolean): string {
  const behind = lag === null ? "" : `${lag.toFixed(lag < 10 ? 1 : 0)} s behind`;
  if (live) return lag === null || lag < 0.05 ? "LIVE" : `LIVE · ${behind}`;
  return lag !== null && lag > SUBTLE ? behind : "";
}
