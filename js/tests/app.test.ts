import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { mount } from "../src/app";
import { fake, type Fake } from "./fake_session";
import { ticks } from "./pictures";
import { rowsOf } from "./rows";

let page: Fake;
let cell: HTMLElement;
const observed = new Set<object>();

/** Stands in for an observer of the browser, and is in `observed` while it observes. */
class Observer {
  constructor(readonly call: (entries: object[]) => void) {}
  observe(): void {
    observed.add(this);
  }
  disconnect(): void {
    observed.delete(this);
  }
}
class SeesIntersections extends Observer {
  static all: SeesIntersections[] = [];
  constructor(call: (entries: object[]) => void) {
    super(call);
    SeesIntersections.all.push(this);
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  observed.clear();
  SeesIntersections.all = [];
  vi.stubGlobal("IntersectionObserver", SeesIntersections);
  vi.stubGlobal("ResizeObserver", Observer);
  vi.stubGlobal("MutationObserver", Observer);
  page = fake();
  cell = document.createElement("div");
  document.body.append(cell);
});
afterEach(() => {
  page.end();
  cell.remove();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const state = (el: Element) => el.querySelector(".ov-state")?.textContent;

describe("a view", () => {
  it("leaves nothing when it goes", () => {
    const before = vi.getTimerCount(); // the session's own
    const unmount = mount(page.session, cell);
    const [root] = cell.getElementsByClassName("ov");
    page.welcome();
    page.status({ rows: 3, samples: 3 });
    page.say({ kind: "rows", total: 3, rows: rowsOf(0, 3) });
    ticks(page, 0, "result", "error", "drop");
    page.session.select(1);
    vi.advanceTimersByTime(500);
    expect(state(cell)).toBe("running");
    expect(observed.size).toBeGreaterThan(0);

    unmount();
    expect(cell.childNodes).toHaveLength(0);
    expect(observed.size).toBe(0);
    expect(vi.getTimerCount()).toBe(before);
    // What still comes for other views changes nothing here.
    const left = root?.innerHTML;
    page.status({ state: "failed", status: "failed: x", problem: { message: "x", advice: "" } });
    page.session.select(2);
    ticks(page, 3, "result");
    vi.advanceTimersByTime(500);
    expect(root?.innerHTML).toBe(left);
  });

  it("wants pictures while it is in a window that is looked at", () => {
    const unmount = mount(page.session, cell);
    page.welcome();
    const told = () => page.last("beat").visible;
    for (const observer of SeesIntersections.all) observer.call([{ isIntersecting: true }]);
    expect(told()).toBe(true);
    const hidden = vi.spyOn(document, "visibilityState", "get").mockReturnValue("hidden");
    document.dispatchEvent(new Event("visibilitychange"));
    expect(told()).toBe(false);
    hidden.mockRestore();
    document.dispatchEvent(new Event("visibilitychange"));
    expect(told()).toBe(true);
    unmount();
    expect(told()).toBe(false);
    document.dispatchEvent(new Event("visibilitychange"));
    expect(page.session.visible).toBe(false);
  });

  it("tells what it shows, and keeps the host's shortcuts away", () => {
    const unmount = mount(page.session, cell);
    const root = cell.querySelector(".ov");
    expect(root?.getAttribute("aria-label")).toBe("Video stream: basketball.mp4");
    expect(root?.hasAttribute("data-lm-suppress-shortcuts")).toBe(true);
    expect(cell.querySelector("style")?.nextElementSibling).toBe(root);
    unmount();
  });
});

describe("two views of a session", () => {
  it("show the same, and one goes on without the other", () => {
    const other = document.createElement("div");
    const [unmount, unmountOther] = [mount(page.session, cell), mount(page.session, other)];
    page.welcome();
    page.status({ state: "paused", status: "paused" });
    expect([state(cell), state(other)]).toEqual(["paused", "paused"]);
    unmount();
    page.status({ state: "running", status: "running" });
    expect(state(other)).toBe("running");
    unmountOther();
  });

  it("have no id in common", () => {
    const other = document.createElement("div");
    const unmounts = [mount(page.session, cell), mount(page.session, other)];
    const ids = [cell, other].flatMap((el) => [...el.querySelectorAll("[id]")].map(({ id }) => id));
    expect(ids.length).toBeGreaterThan(10);
    expect(new Set(ids).size).toBe(ids.length);
    for (const unmount of unmounts) unmount();
  });
});

describe("the snapshot for a notebook without a kernel", () => {
  const snapshot = (key: string) => {
    const el = document.createElement("div");
    el.className = "ov-snapshot";
    el.dataset.key = key;
    document.body.append(el);
    return el;
  };

  it("is hidden once the kernel answers, that of this stream only", () => {
    const [ours, others] = [snapshot("key"), snapshot("another")];
    const unmount = mount(page.session, cell);
    expect(ours.hidden).toBe(false);
    page.welcome();
    const late = snapshot("key");
    page.status();
    expect([ours.hidden, late.hidden, others.hidden]).toEqual([true, true, false]);
    unmount();
    for (const el of [ours, late, others]) el.remove();
  });
});
