/**
 * A list of any length, newest on top, of which only the rows in view are elements.
 *
 * Items are named by their ordinal, counted from the oldest: that is what stays the same when
 * newer ones come. The index of an item is its place from the top. Rows are of one fixed height,
 * so where each stands is arithmetic, and elements are recycled.
 */

import { div, setAttr } from "./dom";
import { clamp } from "./format";
import { watched } from "./later";

/** Height of a row in CSS pixels; `results.css` has the same. */
export const ROW_HEIGHT = 40;
/** Rows kept in the DOM beyond both edges, so that scrolling shows no gaps. */
export const OVERSCAN = 6;
/** Browsers cannot lay out elements much higher; a longer list scrolls faster than the wheel. */
export const MAX_HEIGHT = 8_000_000;

/** How a list of so many rows fits its scroll bar. `ratio`: list pixels for each scrolled one. */
export interface Scale {
  height: number;
  ratio: number;
}

export function scaleOf(count: number, viewport: number): Scale {
  const content = count * ROW_HEIGHT;
  if (content <= MAX_HEIGHT) return { height: content, ratio: 1 };
  return { height: MAX_HEIGHT, ratio: (content - viewport) / (MAX_HEIGHT - viewport) };
}

/** Indices of the rows to keep in the DOM: `first` to `end`, exclusive. */
export function windowOf(
  top: number,
  viewport: number,
  count: number,
): { first: number; end: number } {
  const end = Math.min(count, Math.ceil((top + viewport) / ROW_HEIGHT) + OVERSCAN);
  const first = clamp(Math.floor(top / ROW_HEIGHT) - OVERSCAN, 0, end);
  return { first, end };
}

/** Where the top has to be for row `index` to be in view: the nearest such place. */
export function revealed(index: number, top: number, viewport: number): number {
  const upper = index * ROW_HEIGHT;
  return Math.max(Math.min(top, upper), upper + ROW_HEIGHT - viewport, 0);
}

/** An element that can show any item. */
export interface Slot {
  el: HTMLElement;
  /** Show the item at this place; called whenever either may have changed. */
  show(ordinal: number, index: number): void;
}

export interface ListOptions {
  label: string;
  slot: () => Slot;
  /** After each rendering: the ordinals in the DOM, newest first. */
  rendered: (ordinals: number[]) => void;
  signal: AbortSignal;
}

interface Placed {
  slot: Slot;
  ordinal: number;
  y: number;
}

export class VirtualList {
  readonly el: HTMLElement;
  count = 0;
  #space = div({ class: "ov-list-space", role: "presentation" });
  #free: Placed[] = [];
  #placed = new Map<number, Placed>();
  #top = 0;
  #viewport = 0;
  #scale: Scale = { height: 0, ratio: 1 };
  #slide: Animation | undefined;
  #slidAt = -Infinity;

  constructor(private readonly options: ListOptions) {
    const { label, signal } = options;
    this.el = div(
      { class: "ov-list", role: "grid", tabindex: 0, "aria-label": label },
      this.#space,
    );
    this.el.addEventListener("scroll", () => this.#scrolled(), { passive: true, signal });
    watched(this.el, new ResizeObserver(() => this.#resized()), signal);
  }

  /** Pixels of the list above the view. 0: the newest row is in view, and new ones appear. */
  get top(): number {
    return this.#top;
  }

  /** Rows that fit the view. */
  get page(): number {
    return Math.max(1, Math.floor(this.#viewport / ROW_HEIGHT));
  }

  /** Index of the row at the upper edge. */
  get firstInView(): number {
    return Math.floor(this.#top / ROW_HEIGHT);
  }

  /**
   * The list has so many items now: newer ones came, and what is being looked at stays in place;
   * or, with `fresh`, all are others, and the view is at the newest of them.
   */
  resize(count: number, fresh = false): void {
    const more = fresh ? 0 : count - this.count;
    this.count = count;
    this.#fit();
    setAttr(this.el, "aria-rowcount", count);
    if (fresh) this.#free.push(...this.#placed.values());
    if (fresh) this.#placed.clear();
    const away = !fresh && this.#top > 0;
    this.scrollTo(fresh ? 0 : away ? this.#top + more * ROW_HEIGHT : 0);
    if (!away && more > 0) this.#slideIn(more);
  }

  /** Moves the view as little as shows the row at `index`. */
  reveal(index: number): void {
    this.scrollTo(revealed(index, this.#top, this.#viewport));
  }

  scrollTo(top: number): void {
    this.#top = clamp(top, 0, this.count * ROW_HEIGHT - this.#viewport);
    const scrolled = this.#top / this.#scale.ratio;
    if (this.el.scrollTop !== scrolled) this.el.scrollTop = scrolled;
    this.render();
  }

  /** The element that shows an item, if it is in the DOM. */
  element(ordinal: number): HTMLElement | undefined {
    return this.#placed.get(ordinal)?.slot.el;
  }

  /** Brings the elements in view up to date. */
  render(): void {
    const { first, end } = windowOf(this.#top, this.#viewport, this.count);
    const newest = this.count - 1;
    for (const [ordinal, placed] of this.#placed) {
      const index = newest - ordinal;
      if (index >= first && index < end) continue;
      this.#placed.delete(ordinal);
      this.#free.push(placed);
    }
    // With a ratio of 1 a row's place does not depend on the scroll position: the browser moves
    // it. Otherwise rows stand where the scrolled position makes them appear in the right place.
    const shift = this.#scale.ratio === 1 ? 0 : this.el.scrollTop - this.#top;
    const ordinals: number[] = [];
    for (let index = first; index < end; index++) {
      const ordinal = newest - index;
      ordinals.push(ordinal);
      const placed = this.#placed.get(ordinal) ?? this.#place(ordinal);
      const y = index * ROW_HEIGHT + shift;
      if (y !== placed.y) placed.slot.el.style.transform = `translateY(${(placed.y = y)}px)`;
      placed.slot.show(ordinal, index);
    }
    for (const { slot } of this.#free) slot.el.hidden = true;
    this.options.rendered(ordinals);
  }

  #fit(): void {
    this.#scale = scaleOf(this.count, this.#viewport);
    this.#space.style.height = `${this.#scale.height}px`;
  }

  #place(ordinal: number): Placed {
    let placed = this.#free.pop();
    if (placed === undefined) {
      placed = { slot: this.options.slot(), ordinal, y: NaN };
      this.#space.append(placed.slot.el);
    }
    placed.ordinal = ordinal;
    placed.slot.el.hidden = false;
    this.#placed.set(ordinal, placed);
    return placed;
  }

  #scrolled(): void {
    const scrolled = this.el.scrollTop;
    // An answer to our own writing: browsers round it, and the exact place is known here.
    if (scrolled > 0 && Math.abs(scrolled - this.#top / this.#scale.ratio) < 1) return;
    this.#top = Math.max(0, scrolled * this.#scale.ratio);
    this.#slide?.finish();
    this.render();
  }

  #resized(): void {
    const viewport = this.el.clientHeight;
    if (viewport === this.#viewport) return;
    const back = this.#viewport === 0; // shown again: browsers may have forgotten the position
    this.#viewport = viewport;
    if (viewport === 0) return;
    this.#fit();
    if (back) this.scrollTo(this.#top);
    else this.#scrolled();
    this.render();
  }

  /** New rows push the others down, so that the eye can follow; not where they rush in. */
  #slideIn(rows: number): void {
    const now = performance.now();
    const rare = now - this.#slidAt > 300;
    this.#slidAt = now;
    this.#slide?.cancel();
    if (!rare || rows > OVERSCAN || this.#viewport === 0) return;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    this.#slide = this.#space.animate?.(
      [{ transform: `translateY(${-rows * ROW_HEIGHT}px)` }, { transform: "none" }],
      { duration: 160, easing: "ease-out" },
    );
  }
}
