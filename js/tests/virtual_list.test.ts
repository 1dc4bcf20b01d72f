import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  MAX_HEIGHT,
  OVERSCAN,
  ROW_HEIGHT,
  VirtualList,
  revealed,
  scaleOf,
  windowOf,
} from "../src/virtual_list";

const VIEWPORT = 10 * ROW_HEIGHT;

describe("the window", () => {
  it("holds what is in view and a few rows more", () => {
    expect(windowOf(0, VIEWPORT, 1000)).toEqual({ first: 0, end: 10 + OVERSCAN });
    expect(windowOf(100 * ROW_HEIGHT, VIEWPORT, 1000)).toEqual({
      first: 100 - OVERSCAN,
      end: 110 + OVERSCAN,
    });
    expect(windowOf(990 * ROW_HEIGHT, VIEWPORT, 1000)).toEqual({
      first: 990 - OVERSCAN,
      end: 1000,
    });
  });

  it("never leaves the list, whatever the position", () => {
    for (const count of [0, 1, 5, 1000]) {
      for (const top of [0, 1, 39.5, 1e4, 1e9]) {
        const { first, end } = windowOf(top, VIEWPORT, count);
        expect(first).toBeGreaterThanOrEqual(0);
        expect(end).toBeGreaterThanOrEqual(first);
        expect(end).toBeLessThanOrEqual(count);
      }
    }
  });

  it("covers every pixel in view", () => {
    for (let top = 0; top < 990 * ROW_HEIGHT; top += 7.3) {
      const { first, end } = windowOf(top, VIEWPORT, 1000);
      expect(first * ROW_HEIGHT).toBeLessThanOrEqual(top);
      expect(end * ROW_HEIGHT).toBeGreaterThanOrEqual(top + VIEWPORT);
    }
  });
});

describe("the scale", () => {
  it("is one to one as long as browsers can lay it out", () => {
    expect(scaleOf(100_000, VIEWPORT)).toEqual({ height: 100_000 * ROW_HEIGHT, ratio: 1 });
  });

  it("reaches the last row of a list of any length", () => {
    const count = 5_000_000;
    const { height, ratio } = scaleOf(count, VIEWPORT);
    expect(height).toBe(MAX_HEIGHT);
    expect((height - VIEWPORT) * ratio).toBeCloseTo(count * ROW_HEIGHT - VIEWPORT, 3);
  });
});

describe("bringing a row into view", () => {
  it("does not move where it is in view", () => {
    expect(revealed(12, 5 * ROW_HEIGHT, VIEWPORT)).toBe(5 * ROW_HEIGHT);
  });
  it("moves to its nearer edge", () => {
    expect(revealed(2, 5 * ROW_HEIGHT, VIEWPORT)).toBe(2 * ROW_HEIGHT);
    expect(revealed(20, 5 * ROW_HEIGHT, VIEWPORT)).toBe(11 * ROW_HEIGHT);
  });
});

describe("the list", () => {
  let resize: () => void;
  let ending: AbortController;
  let made: number;
  let viewport: number;
  let inDom: number[];

  beforeEach(() => {
    vi.stubGlobal(
      "ResizeObserver",
      class {
        constructor(callback: () => void) {
          resize = callback;
        }
        observe() {}
        disconnect() {}
      },
    );
    ending = new AbortController();
    made = 0;
    viewport = VIEWPORT;
  });
  afterEach(() => {
    ending.abort();
    vi.unstubAllGlobals();
  });

  function make(count: number): VirtualList {
    const list = new VirtualList({
      label: "Rows",
      signal: ending.signal,
      rendered: (ordinals) => (inDom = ordinals),
      slot: () => {
        made += 1;
        const el = document.createElement("div");
        return { el, show: (ordinal) => (el.textContent = String(ordinal)) };
      },
    });
    Object.defineProperty(list.el, "clientHeight", { get: () => viewport });
    list.resize(count, true);
    resize();
    return list;
  }

  const scroll = (list: VirtualList, top: number) => {
    list.el.scrollTop = top;
    list.el.dispatchEvent(new Event("scroll"));
  };

  /** Where an item is seen, from the upper edge of the view. */
  const seen = (list: VirtualList, ordinal: number) => {
    const el = list.element(ordinal);
    const y = Number(/translateY\((.*)px\)/.exec(el?.style.transform ?? "")?.[1]);
    expect(el?.textContent).toBe(String(ordinal));
    return y - list.el.scrollTop;
  };

  it("shows the newest on top", () => {
    const list = make(100);
    expect(inDom[0]).toBe(99);
    expect(seen(list, 99)).toBe(0);
    expect(seen(list, 98)).toBe(ROW_HEIGHT);
  });

  it("recycles its elements however far it is scrolled", () => {
    const list = make(100_000);
    for (let top = 0; top < 3_900_000; top += 33_333) scroll(list, top);
    expect(made).toBeLessThanOrEqual(10 + 2 * OVERSCAN + 1);
    expect(seen(list, inDom[0] ?? -1)).toBeLessThanOrEqual(0);
  });

  it("keeps in place what is looked at when rows are added", () => {
    const list = make(1000);
    scroll(list, 30 * ROW_HEIGHT + 13);
    const place = seen(list, 965);
    list.resize(1001);
    list.resize(1012);
    expect(seen(list, 965)).toBe(place);
    expect(list.top).toBe(42 * ROW_HEIGHT + 13);
  });

  it("shows new rows when it is at the top", () => {
    const list = make(1000);
    list.resize(1001);
    expect(list.top).toBe(0);
    expect(seen(list, 1000)).toBe(0);
  });

  it("goes back to the top for other rows", () => {
    const list = make(1000);
    scroll(list, 4000);
    list.resize(50, true);
    expect(list.top).toBe(0);
    expect(seen(list, 49)).toBe(0);
    list.resize(0, true);
    expect(inDom).toEqual([]);
  });

  it("comes back to its place after it was hidden", () => {
    const list = make(1000);
    scroll(list, 4000);
    viewport = list.el.scrollTop = 0; // as browsers do
    resize();
    list.resize(1001);
    viewport = VIEWPORT;
    resize();
    expect(list.el.scrollTop).toBe(4000 + ROW_HEIGHT);
    expect(seen(list, 999 - 100)).toBe(0);
  });

  it("shows more rows when it is made higher", () => {
    const list = make(1000);
    const before = inDom.length;
    viewport = 2 * VIEWPORT;
    resize();
    expect(inDom.length).toBe(before + 10);
    expect(list.page).toBe(20);
  });

  it("reaches first and last row, and keeps places, in a list higher than browsers allow", () => {
    const count = 1_000_000;
    const list = make(count);
    scroll(list, MAX_HEIGHT - VIEWPORT);
    expect(seen(list, 0)).toBeCloseTo(VIEWPORT - ROW_HEIGHT, 3);
    scroll(list, MAX_HEIGHT / 3);
    const ordinal = inDom[8] ?? -1;
    const place = seen(list, ordinal);
    list.resize(count + 5);
    expect(seen(list, ordinal)).toBeCloseTo(place, 3);
    list.reveal(500_000);
    expect(list.element(count + 5 - 1 - 500_000)).toBeDefined();
  });
});
