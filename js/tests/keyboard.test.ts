import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { h } from "../src/dom";
import { listenToKeys } from "../src/keyboard";
import { fake, type Fake } from "./fake_session";

let page: Fake;

beforeEach(() => {
  page = fake();
  page.view.root.tabIndex = -1;
  listenToKeys(page.view);
});
afterEach(() => page.end());

/** Presses a key; tells whether the widget took it, and whether the page around it heard it. */
function press(key: string, target: Element = page.view.root, init: KeyboardEventInit = {}) {
  let heard = false;
  const listen = () => {
    heard = true;
  };
  document.addEventListener("keydown", listen);
  const event = new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...init });
  target.dispatchEvent(event);
  document.removeEventListener("keydown", listen);
  return { taken: event.defaultPrevented, heard };
}

const TAKEN = { taken: true, heard: false };
const LEFT = { taken: false, heard: true };

function samples(n: number, runStart = 0): void {
  const times = Float64Array.from({ length: n }, (_, i) => i / 2);
  page.session.timeline.put(0, times, new Uint8Array(n));
  page.session.timeline.runStart = runStart;
}

function inRoot<K extends keyof HTMLElementTagNameMap>(tag: K, attrs = {}) {
  const el = h(tag, { ...attrs });
  page.view.root.append(el);
  return el;
}

describe("space", () => {
  it("pauses what runs and resumes what is paused", () => {
    page.welcome();
    page.status({ state: "running" });
    expect(press(" ")).toEqual(TAKEN);
    expect(page.last("control").action).toBe("pause");
    const { request } = page.last("control");
    page.say({ kind: "done", request, page: page.session.page });
    page.status({ state: "paused" });
    return Promise.resolve().then(() => {
      expect(press(" ")).toEqual(TAKEN);
      expect(page.last("control").action).toBe("resume");
    });
  });

  it("asks once while the kernel has not answered, however long it is held", () => {
    page.welcome();
    page.status({ state: "running" });
    press(" ");
    expect(press(" ")).toEqual(TAKEN);
    expect(press(" ", page.view.root, { repeat: true })).toEqual(TAKEN);
    expect(page.sent.filter(({ kind }) => kind === "control").length).toBe(1);
  });

  it("is the page's where there is nothing to pause", () => {
    expect(press(" ")).toEqual(LEFT); // no kernel
    page.welcome();
    page.status({ state: "ended" });
    expect(press(" ")).toEqual(LEFT);
  });

  it("is the button's on a button", () => {
    page.welcome();
    page.status({ state: "running" });
    expect(press(" ", inRoot("button"))).toEqual(LEFT);
    expect(page.sent.some(({ kind }) => kind === "control")).toBe(false);
  });

  it("says why it failed", async () => {
    page.welcome();
    page.status({ state: "running" });
    press(" ");
    const problem = { message: "not now", advice: "later" };
    const { request } = page.last("control");
    page.say({ kind: "refused", request, page: page.session.page, problem, restart: false });
    await Promise.resolve();
    await Promise.resolve();
    expect([...page.view.notices.all.values()].map((notice) => notice.problem)).toEqual([problem]);
  });
});

describe("arrows", () => {
  it("begin at the newest sample and stop at the ends", () => {
    samples(3);
    expect(press("ArrowLeft")).toEqual(TAKEN);
    expect(page.session.selected).toBe(2);
    press("ArrowRight");
    expect(page.session.selected).toBe(2);
    for (let i = 0; i < 5; i++) press("ArrowLeft");
    expect(page.session.selected).toBe(0);
    expect(page.spoken.at(-1)).toContain("sample 0 at 0:00.0");
  });

  it("are the page's where there are no samples", () => {
    expect(press("ArrowLeft")).toEqual(LEFT);
    expect(press("Home")).toEqual(LEFT);
  });

  it("leave it to a slider to say where it is", () => {
    samples(3);
    press("ArrowLeft", inRoot("div", { role: "slider", tabindex: 0 }));
    expect(page.session.selected).toBe(2);
    expect(page.spoken).toEqual([]);
  });

  it("go to the ends of the run with Home and End", () => {
    samples(9, 4);
    press("Home");
    expect(page.session.selected).toBe(4);
    press("End");
    expect(page.session.selected).toBe(8);
  });
});

describe("other keys", () => {
  it("Escape unselects, and is the page's when nothing is selected", () => {
    samples(3);
    page.session.select(1);
    expect(press("Escape")).toEqual(TAKEN);
    expect(page.session.selected).toBeNull();
    expect(press("Escape")).toEqual(LEFT);
  });

  it("c shows and hides the caption", () => {
    expect(press("c")).toEqual(TAKEN);
    expect(page.session.caption).toBe(false);
    press("c");
    expect(page.session.caption).toBe(true);
  });

  it("/ goes to the filter, inside a shadow root too", () => {
    const host = document.createElement("div");
    document.body.append(host);
    const shadow = host.attachShadow({ mode: "open" });
    const filter = inRoot("input", { "data-ov": "filter" });
    shadow.append(page.view.root);
    expect(press("/").taken).toBe(true);
    expect(shadow.activeElement).toBe(filter);
    host.remove();
  });

  it("are not taken with modifiers, nor are keys that mean nothing", () => {
    samples(3);
    expect(press("c", page.view.root, { ctrlKey: true })).toEqual(LEFT);
    expect(press("ArrowLeft", page.view.root, { altKey: true })).toEqual(LEFT);
    expect(press("c", page.view.root, { metaKey: true })).toEqual(LEFT);
    expect(press("x")).toEqual(LEFT);
  });

  it.each(["input", "textarea", "select"] as const)("are letters in a %s", (tag) => {
    samples(3);
    const field = inRoot(tag);
    for (const key of ["c", " ", "/", "ArrowLeft", "Escape"]) press(key, field);
    expect(page.session.selected).toBeNull();
    expect(page.session.caption).toBe(true);
  });

  it("are not taken twice where a part has taken them", () => {
    samples(3);
    const part = inRoot("div");
    part.addEventListener("keydown", (event) => event.preventDefault());
    press("ArrowLeft", part);
    expect(page.session.selected).toBeNull();
  });

  it("end with the view", () => {
    samples(3);
    page.end();
    press("ArrowLeft");
    expect(page.session.selected).toBeNull();
    page = fake();
  });
});

describe("a click", () => {
  it("on the background takes the focus, on a control it does not", () => {
    const field = inRoot("input");
    const text = inRoot("p");
    field.focus();
    field.click();
    expect(document.activeElement).toBe(field);
    text.click();
    expect(document.activeElement).toBe(page.view.root);
  });
});
