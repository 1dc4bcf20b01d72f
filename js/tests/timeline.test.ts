import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { timeline } from "../src/timeline";
import { barWidth } from "../src/timeline_canvas";
import { FATES } from "../src/messages";
import { fake, type Fake } from "./fake_session";
import { JPEG, picture, settled, stubPictures, ticks } from "./pictures";
import { row } from "./rows";

const WIDTH = 720;
let page: Fake;
let element: HTMLElement;
let track: HTMLElement;
let draws: number;

beforeEach(() => {
  vi.useFakeTimers();
  stubPictures();
  draws = 0;
  vi.mocked(HTMLCanvasElement.prototype.getContext).mockImplementation((() => ({
    scale: () => (draws += 1), // once for each drawing of the whole
    fillRect: () => undefined,
    strokeRect: () => undefined,
    fillText: () => undefined,
    drawImage: () => undefined,
    measureText: (text: string) => ({ width: 6 * text.length }),
  })) as never);
  vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(WIDTH);
  vi.stubGlobal(
    "ResizeObserver",
    class {
      constructor(private readonly call: () => void) {}
      observe = () => this.call();
      disconnect = () => undefined;
    },
  );
  page = fake();
  element = timeline(page.view);
  page.view.root.append(element);
  track = find(".ov-track");
  page.session.setVisible(element, true);
});
afterEach(() => {
  page.end();
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

function find(selector: string): HTMLElement {
  const found = element.querySelector<HTMLElement>(selector);
  if (found === null) throw new Error(`no ${selector}`);
  return found;
}

const frame = () => vi.advanceTimersByTime(20);
const looks = () => page.sent.flatMap((m) => (m.kind === "look" ? [m.sample] : []));

function point(type: string, x: number, init: PointerEventInit = {}): void {
  track.dispatchEvent(
    new PointerEvent(type, { clientX: x, bubbles: true, pointerType: "mouse", ...init }),
  );
}

/** A file of 36 s: 20 pixels a second. */
function file(): void {
  page.welcome({ duration: 36 });
  page.status();
  ticks(page, 0, "result", "error", "drop", "result", "waiting");
  frame();
}

describe("pointing", () => {
  it("selects the sample under a click, and unselects it by the next", () => {
    file();
    point("click", 11);
    expect(page.session.selected).toBe(1);
    frame();
    expect(find(".ov-chosen").hidden).toBe(false);
    expect(find(".ov-chosen").style.transform).toBe("translateX(10px)");
    point("click", 11);
    expect(page.session.selected).toBeNull();
    point("click", 300);
    expect(page.session.selected).toBeNull();
  });

  it("hits from further away with a finger", () => {
    file();
    point("click", 53);
    expect(page.session.selected).toBeNull();
    point("click", 53, { pointerType: "touch" });
    expect(page.session.selected).toBe(4);
  });

  it("shows a sample at once, and asks for its picture when the pointer rests", async () => {
    file();
    page.say({ kind: "rows", total: 1, rows: [row(0)] });
    const popover = find(".ov-popover");
    expect(popover.hidden).toBe(true);
    point("pointermove", 21);
    point("pointermove", 1);
    expect(popover.hidden).toBe(false);
    expect(popover.textContent).toBe("0 · 0:00.0resultanswer 0");
    expect(looks()).toEqual([]);
    vi.advanceTimersByTime(100);
    expect(looks()).toEqual([0]);
    page.say(
      {
        kind: "detail",
        sample: 0,
        media_time: 0,
        fate: "result",
        reason: null,
        row: row(0, { text: "<b>told</b>" }),
        text: "<b>told</b>",
        prompt: "",
        model: "",
        frames: 1,
        missing: null,
      },
      JPEG,
    );
    await settled();
    expect(popover.textContent).toContain("<b>told</b>");
    expect(find(".ov-popover canvas").hidden).toBe(false);
    point("pointerleave", 0);
    expect(popover.hidden).toBe(true);
    point("pointermove", 1);
    vi.advanceTimersByTime(100);
    expect(looks()).toEqual([0]); // kept
  });
});

it("follows what becomes of the sample that is pointed at", () => {
  file();
  point("pointermove", 40);
  vi.advanceTimersByTime(100);
  expect(find(".ov-popover .ov-fate").textContent).toBe("waiting");
  ticks(page, 4, "waiting", "waiting");
  expect(looks()).toEqual([4]);
  ticks(page, 4, "result");
  expect(find(".ov-popover .ov-fate").textContent).toBe("result");
  expect(looks()).toEqual([4, 4]);
});

describe("for those who do not see it", () => {
  it("is a slider that says what is selected", () => {
    file();
    page.say({ kind: "rows", total: 1, rows: [row(0, { text: "HAWKS 4" })] });
    expect(track.getAttribute("role")).toBe("slider");
    expect(track.tabIndex).toBe(0);
    expect(track.getAttribute("aria-valuetext")).toBe("no sample selected");
    page.session.select(0);
    expect(track.getAttribute("aria-valuetext")).toBe("sample 0 at 0:00.0, result: HAWKS 4");
    expect(track.getAttribute("aria-valuenow")).toBe("0");
    expect(track.getAttribute("aria-valuemax")).toBe("4");
    ticks(page, 0, "error");
    expect(track.getAttribute("aria-valuetext")).toContain("error");
  });

  it("steps up and down by one, and by ten with the page keys", () => {
    page.welcome();
    ticks(page, 0, ...Array.from({ length: 30 }, () => "result" as const));
    const press = (key: string) => {
      track.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
      return page.session.selected;
    };
    expect(press("PageDown")).toBe(29);
    expect(press("PageDown")).toBe(19);
    expect(press("ArrowUp")).toBe(20);
    expect(press("ArrowDown")).toBe(19);
    expect(press("PageUp")).toBe(29);
  });
});

describe("drawing", () => {
  it("is not done anew for each picture, only the playhead moves", async () => {
    file();
    const before = draws;
    for (const time of [1, 1.1, 1.2]) {
      await picture(page, { media_time: time });
      frame();
    }
    expect(draws).toBe(before);
    expect(find(".ov-playhead").style.transform).toBe("translateX(24px)");
  });

  it("slides over an endless run, pixel by pixel, and stands still under a selection", async () => {
    page.welcome({ live: true, duration: null });
    page.status();
    ticks(page, 0, ...Array.from({ length: 601 }, () => "result" as const)); // 300 s
    await picture(page, { media_time: 300 });
    frame();
    expect(find(".ov-playhead").style.transform).toBe(`translateX(${WIDTH}px)`);
    const before = draws;
    await picture(page, { media_time: 300.05 });
    frame();
    expect(draws).toBe(before);
    await picture(page, { media_time: 300.5 });
    frame();
    expect(draws).toBe(before + 1);
    page.session.select(500); // at 250 s of 180.5 to 300.5
    frame();
    const place = find(".ov-chosen").style.transform;
    await picture(page, { media_time: 340 });
    frame();
    expect(find(".ov-chosen").style.transform).toBe(place);
    expect(find(".ov-playhead").hidden).toBe(true);
    page.session.select(null);
    frame();
    expect(find(".ov-playhead").hidden).toBe(false);
  });

  it("shows all of an endless run when asked", async () => {
    page.welcome({ live: true, duration: null });
    page.status();
    const span = find(".ov-span");
    ticks(page, 0, "result");
    frame();
    expect(span.hidden).toBe(true);
    ticks(page, 1, ...Array.from({ length: 600 }, () => "result" as const));
    await picture(page, { media_time: 300 });
    frame();
    expect([span.hidden, span.textContent]).toEqual([false, "All"]);
    span.click();
    frame();
    expect(span.textContent).toBe("2 min");
    point("click", 0);
    expect(page.session.selected).toBe(0);
  });

  it("leaves out earlier runs", () => {
    file();
    page.status({ run_start: 3 });
    frame();
    point("click", 1);
    expect(page.session.selected).toBeNull();
  });

  it("is not there where no samples are known and no kernel tells of them", () => {
    expect(element.hidden).toBe(true);
    page.welcome();
    page.status();
    expect(element.hidden).toBe(false);
  });
});

describe("barWidth", () => {
  const at = (...columns: number[]) => {
    const counts = new Uint32Array(100 * FATES.length);
    for (const column of columns) counts[column * FATES.length + 1] = 1;
    return barWidth(counts);
  };

  it("leaves room between the closest, and is at least a pixel", () => {
    expect(at()).toBe(5);
    expect(at(10, 90)).toBe(5);
    expect(at(10, 15, 90)).toBe(3);
    expect(at(10, 11, 90)).toBe(1);
  });
});

it("ends with the view", () => {
  file();
  page.session.select(1);
  page.end();
  expect(vi.getTimerCount()).toBe(0);
});
