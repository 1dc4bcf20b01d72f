import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Row } from "../src/messages";
import { results } from "../src/results";
import { PAUSE } from "../src/row_cache";
import { ROW_HEIGHT } from "../src/virtual_list";
import { fake, type Fake } from "./fake_session";
import { row, rowsOf } from "./rows";

const VIEWPORT = 10 * ROW_HEIGHT;

let ov: Fake;
let el: HTMLElement;
let list: HTMLElement;
let resize: () => void;

beforeEach(() => {
  vi.useFakeTimers();
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
  open();
});
afterEach(() => {
  ov.end();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function open(traits = {}): void {
  ov = fake(traits);
  el = results(ov.view);
  ov.view.root.append(el);
  list = find('[role="grid"]');
  Object.defineProperty(list, "clientHeight", { value: VIEWPORT });
  resize();
}

function find<T extends HTMLElement = HTMLElement>(selector: string): T {
  const found = el.querySelector<T>(selector);
  if (!found) throw new Error(`no ${selector}`);
  return found;
}

/** Lets a picture of the screen pass, and with it what waits for one. */
const frame = () => vi.advanceTimersByTime(20);

function put(rows: Row[], total = (rows.at(-1)?.row ?? -1) + 1): void {
  ov.say({ kind: "rows", total, rows });
  frame();
}

function matches(query: string, numbers: number[], append = false): void {
  const buffer = new DataView(Uint32Array.from(numbers).buffer);
  ov.say({ kind: "matches", page: ov.session.page, query, append }, [buffer]);
  frame();
}

function ticks(fates: number[]): void {
  const times = Float64Array.from(fates, (_, i) => i / 2);
  ov.say({ kind: "ticks", first: 0 }, [
    new DataView(times.buffer),
    new DataView(Uint8Array.from(fates).buffer),
  ]);
}

/** Rows in the DOM, from the top. */
const shown = () =>
  [...el.querySelectorAll<HTMLElement>('[role="row"]')]
    .filter((row) => !row.hidden)
    .sort((a, b) => index(a) - index(b));
const index = (row: HTMLElement) => Number(row.getAttribute("aria-rowindex"));
const answers = () => shown().map((row) => row.querySelector(".ov-result-text")?.textContent);
const rowAt = (place: number) => {
  const row = shown().find((row) => index(row) === place + 1);
  if (!row) throw new Error(`row ${place} is not in the DOM`);
  return row;
};
const tally = () => find(".ov-tally").textContent;
const nothing = () => find(".ov-nothing");
const pill = () => find<HTMLButtonElement>(".ov-pill");
const press = (key: string, on: HTMLElement = list) => {
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true });
  on.dispatchEvent(event);
  return event;
};
const scroll = (top: number) => {
  list.scrollTop = top;
  list.dispatchEvent(new Event("scroll"));
};
const type = (text: string) => {
  const input = find<HTMLInputElement>("input");
  input.value = text;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  return input;
};

describe("the list", () => {
  it("shows the newest on top", () => {
    ov.welcome();
    put(rowsOf(0, 5));
    expect(answers()).toEqual(["answer 4", "answer 3", "answer 2", "answer 1", "answer 0"]);
    put([row(5)]);
    expect(answers()[0]).toBe("answer 5");
    expect(tally()).toBe("6 rows");
    expect(list.getAttribute("aria-rowcount")).toBe("6");
  });

  it("asks for rows that it shows and does not have, and shows them when they come", () => {
    ov.welcome();
    put(rowsOf(990, 1000), 1000);
    scroll(500 * ROW_HEIGHT);
    expect(rowAt(500).getAttribute("aria-busy")).toBe("true");
    vi.advanceTimersByTime(3 * PAUSE);
    const { rows } = ov.last("want_rows");
    expect(rows).toContain(499);
    expect(rows.length).toBeLessThan(100);
    put(rows.map((number) => row(number)), 1000);
    expect(rowAt(500).textContent).toContain("answer 499");
  });

  it("draws once for many messages", () => {
    ov.welcome();
    frame();
    const before = list.getAttribute("aria-rowcount");
    for (let i = 0; i < 50; i++) ov.say({ kind: "rows", total: i + 1, rows: [row(i)] });
    expect(list.getAttribute("aria-rowcount")).toBe(before);
    frame();
    expect(list.getAttribute("aria-rowcount")).toBe("50");
  });

  it("keeps the reader's place and tells how many are new", () => {
    ov.welcome();
    put(rowsOf(0, 100));
    expect(pill().hidden).toBe(true);
    scroll(20 * ROW_HEIGHT);
    put(rowsOf(100, 112));
    expect(list.scrollTop).toBe(32 * ROW_HEIGHT);
    expect(pill().textContent).toBe("↑ 12 new");
    scroll(4 * ROW_HEIGHT);
    expect(pill().textContent).toBe("↑ 4 new");
    pill().click();
    expect(list.scrollTop).toBe(0);
    expect(pill().hidden).toBe(true);
  });

  it("marks where another prompt begins", () => {
    ov.welcome();
    put([row(0), row(1), row(2, { version: 2 }), row(3, { version: 2 })]);
    expect(shown().map((row) => row.hasAttribute("data-first"))).toEqual([
      false,
      true,
      false,
      false,
    ]);
  });

  it("says why there is nothing", () => {
    expect(nothing().textContent).toBe("No rows yet: the first answer is on its way.");
    ov.status({ state: "failed" });
    frame();
    expect(nothing().textContent).toContain("was over before an answer came");
    ov.welcome();
    put([row(0)]);
    expect(nothing().hidden).toBe(true);
  });

  it("shows what the notebook holds when no kernel answers, and waits for nothing", () => {
    ov.end();
    open({ recent: rowsOf(80, 100) });
    frame();
    expect(answers()[0]).toBe("answer 99");
    expect(list.getAttribute("aria-rowcount")).toBe("20");
    expect(tally()).toBe("newest 20 of 100");
    expect(find<HTMLInputElement>("input").disabled).toBe(true);
    scroll(10 * ROW_HEIGHT);
    expect(el.querySelector("[aria-busy]:not([hidden])")).toBeNull();
    vi.advanceTimersByTime(1000);
    expect(ov.sent.some(({ kind }) => kind === "want_rows")).toBe(false);
  });

  it("leaves no timer and no listener", () => {
    ov.welcome();
    put([row(999)], 1000);
    ov.end();
    ov.say({ kind: "rows", total: 1001, rows: [row(1000)] });
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("choosing a row", () => {
  beforeEach(() => {
    ov.welcome();
    put(rowsOf(0, 100));
  });
  const marked = () => shown().filter((row) => row.getAttribute("aria-selected") === "true");

  it("selects its sample, and again none", () => {
    rowAt(2).click();
    expect(ov.session.selected).toBe(97);
    expect(marked()).toEqual([rowAt(2)]);
    rowAt(2).click();
    expect(ov.session.selected).toBeNull();
    expect(marked()).toEqual([]);
  });

  it("works by keys, which do not leave the list", () => {
    let left = 0;
    ov.view.root.addEventListener("keydown", () => (left += 1));
    list.dispatchEvent(new Event("focus"));
    const at = () => index(list.ownerDocument.getElementById(
      list.getAttribute("aria-activedescendant") ?? "",
    ) as HTMLElement) - 1;
    expect(at()).toBe(0);
    press("ArrowDown");
    press("ArrowDown");
    press("ArrowUp");
    expect(at()).toBe(1);
    expect(press("Enter").defaultPrevented).toBe(true);
    expect(ov.session.selected).toBe(98);
    press("PageDown");
    expect(at()).toBe(11);
    expect(list.scrollTop).toBe(2 * ROW_HEIGHT);
    press("End");
    expect(at()).toBe(99);
    press("Home");
    expect(at()).toBe(0);
    expect(list.scrollTop).toBe(0);
    expect(left).toBe(0);
    press(" ");
    expect(left).toBe(1); // pauses the stream: not the list's
  });

  it("stays at its row while others come", () => {
    list.dispatchEvent(new Event("focus"));
    press("ArrowDown");
    put([row(100)]);
    press("Enter");
    expect(ov.session.selected).toBe(98);
  });

  it("is brought into view when it was chosen elsewhere", () => {
    ov.session.select(40);
    expect(list.scrollTop).toBe(60 * ROW_HEIGHT - VIEWPORT);
    expect(rowAt(59).getAttribute("aria-selected")).toBe("true");
    ov.session.select(45);
    expect(list.scrollTop).toBe(60 * ROW_HEIGHT - VIEWPORT); // it was in view
    ov.session.select(55);
    expect(list.scrollTop).toBe(44 * ROW_HEIGHT);
  });

  it("is found although it is not here: its place is told by the samples before it", () => {
    const fates = Array.from({ length: 4000 }, (_, i) => (i % 2 ? 3 : 1)); // each second dropped
    ticks(fates);
    put([row(1999, { sample: 3998 })], 2000);
    ov.session.select(1000);
    vi.advanceTimersByTime(3 * PAUSE);
    const { rows } = ov.last("want_rows");
    expect(rows).toContain(500);
    put(rows.map((number) => row(number, { sample: 2 * number })), 2000);
    expect(rowAt(1499).getAttribute("aria-selected")).toBe("true");
  });

  it("of a sample without a row moves nothing and asks for nothing", () => {
    ticks(Array.from({ length: 4000 }, () => 3));
    const before = ov.sent.length;
    ov.session.select(3000);
    vi.advanceTimersByTime(1000);
    expect(list.scrollTop).toBe(0);
    expect(ov.sent.slice(before).map(({ kind }) => kind)).not.toContain("want_rows");
  });
});

describe("the filter", () => {
  beforeEach(() => {
    ov.welcome();
    put(rowsOf(0, 1204));
  });

  it("waits for the typing to rest", () => {
    type("is:e");
    vi.advanceTimersByTime(100);
    type(" is:error ");
    vi.advanceTimersByTime(100);
    expect(ov.sent.some(({ kind }) => kind === "filter")).toBe(false);
    vi.advanceTimersByTime(60);
    expect(ov.last("filter").query).toBe("is:error");
  });

  it("shows the rows that fit, newest first, and how many", () => {
    type("x");
    vi.advanceTimersByTime(150);
    matches("x", [3, 500, 1200]);
    expect(answers()).toEqual(["answer 1200", "answer 500", "answer 3"]);
    expect(tally()).toBe("3 of 1,204");
    expect(ov.spoken).toEqual(["3 rows found"]);
    put([row(1204)]);
    matches("x", [1204], true);
    expect(answers()[0]).toBe("answer 1204");
    expect(tally()).toBe("4 of 1,205");
    expect(ov.spoken).toHaveLength(1);
  });

  it("says that nothing fits, and that an answer is awaited", () => {
    type("zebra");
    vi.advanceTimersByTime(150);
    ov.status({ rows: 1204 });
    frame();
    expect(tally()).toBe("filtering…");
    matches("zebra", []);
    expect(nothing().textContent).toBe("No row fits “zebra”.");
    expect(tally()).toBe("0 of 1,204");
  });

  it("is cleared by Escape, which shows all rows and the selected one among them", () => {
    type("x");
    vi.advanceTimersByTime(150);
    matches("x", [3]);
    rowAt(0).click();
    let left = false;
    ov.view.root.addEventListener("keydown", () => (left = true));
    press("Escape", find("input"));
    frame();
    expect(left).toBe(false);
    expect(find<HTMLInputElement>("input").value).toBe("");
    expect(tally()).toBe("1,204 rows");
    expect(rowAt(1200).getAttribute("aria-selected")).toBe("true");
  });

  it("keeps typed keys from the notebook", () => {
    let left = false;
    ov.view.root.addEventListener("keydown", () => (left = true));
    press("d", find("input"));
    expect(left).toBe(false);
  });

  it("is the same in another view, but leaves what is being typed there", () => {
    const other = results(ov.view);
    const input = other.querySelector("input");
    type("x");
    vi.advanceTimersByTime(150);
    matches("x", [3]);
    expect(input?.value).toBe("x");
  });
});
