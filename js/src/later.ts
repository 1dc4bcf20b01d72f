/** What ends with a view: clean-ups, and calls that wait for a pause. */

export function atEnd(signal: AbortSignal, cleanUp: () => void): void {
  signal.addEventListener("abort", cleanUp);
}

/** One call to come: setting another replaces it, and none comes once `signal` is aborted. */
export class Later {
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(signal: AbortSignal) {
    atEnd(signal, () => this.cancel());
  }

  get due(): boolean {
    return this.#timer !== undefined;
  }

  set(milliseconds: number, call: () => void): void {
    this.cancel();
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      call();
    }, milliseconds);
  }

  cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
