/** What ends with a view: clean-ups, and calls that wait for a pause. */

export function atEnd(signal: AbortSignal, cleanUp: () => void): void {
  signal.addEventListener("abort", cleanUp);
}

/** Has an observer look at an element until `signal` is aborted. */
export function watched(
  el: Element,
  observer: ResizeObserver | IntersectionObserver,
  signal: AbortSignal,
): void {
  observer.observe(el);
  atEnd(signal, () => observer.disconnect());
}

/** A function that calls `draw` with the screen's next picture, however often it is called. */
export function onFrame(signal: AbortSignal, draw: () => void): () => void {
  let frame = 0;
  atEnd(signal, () => cancelAnimationFrame(frame));
  return () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      draw();
    });
  };
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
