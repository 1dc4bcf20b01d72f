import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { stageNote } from "../src/stage_note";
import { video } from "../src/video";
import { fake, type Fake } from "./fake_session";
import { JPEG, picture, settled, stubPictures, ticks } from "./pictures";
import { row } from "./rows";

let page: Fake;
let stage: HTMLElement;
let drawn: ReturnType<typeof stubPictures>;

beforeEach(() => {
  vi.useFakeTimers();
  drawn = stubPictures();
  begin();
});
afterEach(() => {
  page.end();
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

function begin(...traits: Parameters<typeof fake>): void {
  page?.end();
  page = fake(...traits);
  stage = video(page.view);
  page.view.root.append(stage);
  page.session.setVisible(stage, true);
}

const find = (selector: string) => {
  const found = stage.querySelector<HTMLElement>(selector);
  if (found === null) throw new Error(`no ${selector}`);
  return found;
};
const says = () => (find(".ov-veil").hidden ? "" : find(".ov-veil").textContent);

describe("the picture", () => {
  it("is drawn while it is open, at its own size, and then closed", async () => {
    drawn.drawImage.mockImplementation(() => expect(drawn.close).not.toHaveBeenCalled());
    page.welcome();
    await picture(page);
    expect(drawn.drawImage).toHaveBeenCalledOnce();
    expect(drawn.close).toHaveBeenCalledOnce();
    const canvas = find("canvas") as HTMLCanvasElement;
    expect([canvas.width, canvas.height, canvas.hidden]).toEqual([640, 360, false]);
  });

  it("keeps its place before it comes: the video's shape", () => {
    page.welcome({ width: 720, height: 1280 });
    expect(find(".ov-video").style.aspectRatio).toBe("720 / 1280");
  });

  it("tells its time, of how much where that is known", async () => {
    page.welcome({ duration: 36 });
    await picture(page, { media_time: 6.04 });
    expect(find(".ov-clock").textContent).toBe("0:06.0 / 0:36.0");
    page.welcome({ duration: null });
    await picture(page, { media_time: 7 });
    expect(find(".ov-clock").textContent).toBe("0:07.0");
  });

  it("says how far a live one is behind, more while nothing comes", async () => {
    page.welcome({ live: true, duration: null });
    page.status();
    await picture(page, { shown_at: Date.now() / 1000 - 0.2 });
    vi.advanceTimersByTime(250);
    expect(find(".ov-clock").textContent).toContain("LIVE · 0.2 s behind");
    vi.advanceTimersByTime(3000);
    expect(find(".ov-clock").textContent).toContain("LIVE · 3.");
    await picture(page, { shown_at: Date.now() / 1000 });
    vi.advanceTimersByTime(250);
    expect(find(".ov-clock").textContent).toContain("LIVE · 0.2 s behind");
  });
});

describe("the mark of a sample", () => {
  it("stays until a moment after the next picture", async () => {
    page.welcome();
    const mark = find(".ov-sent");
    await picture(page, { sample: 12 });
    expect(mark.textContent).toBe("sample 12");
    vi.advanceTimersByTime(5000);
    expect(mark.classList.contains("ov-on")).toBe(true);
    await picture(page);
    expect(mark.classList.contains("ov-on")).toBe(true);
    vi.advanceTimersByTime(310);
    expect(mark.classList.contains("ov-on")).toBe(false);
  });

  it("does not go out between samples that follow closely", async () => {
    page.welcome();
    await picture(page, { sample: 1 });
    await picture(page);
    await picture(page);
    vi.advanceTimersByTime(200);
    await picture(page, { sample: 2 });
    vi.advanceTimersByTime(200);
    expect(find(".ov-sent").classList.contains("ov-on")).toBe(true);
    expect(find(".ov-sent").textContent).toBe("sample 2");
  });
});

describe("the veil", () => {
  it("tells what a page without a kernel waits for, then that none answers", () => {
    expect(says()).toBe("Connecting to the kernel");
    vi.advanceTimersByTime(2600);
    expect(says()).toContain("does not answer");
    expect(find(".ov-clock").hidden).toBe(true);
    page.welcome();
    page.status();
    expect(says()).toBe("Waiting for the first picture");
  });

  it("goes with the first picture and comes with a pause, from which it leads back", async () => {
    page.welcome();
    page.status();
    await picture(page);
    expect(says()).toBe("");
    page.status({ state: "paused" });
    expect(says()).toBe("Paused");
    find(".ov-resume").click();
    expect(page.last("control").action).toBe("resume");
    page.status({ state: "ended" });
    expect(says()).toBe("Ended");
    expect(find(".ov-resume").hidden).toBe(true);
    expect(find("canvas").hidden).toBe(false);
  });

  it("has words for every state", () => {
    for (const state of ["starting", "running", "paused", "ended", "failed", "closed"] as const) {
      for (const connection of ["waiting", "live", "silent"] as const) {
        expect(stageNote(connection, state, false, false).text).not.toBe("");
        const { veil } = stageNote(connection, state, true, false);
        const plain = connection === "live" && (state === "running" || state === "starting");
        expect(veil === "none").toBe(plain);
      }
    }
  });
});

describe("a page that comes after the end", () => {
  it("shows the newest sample that was not dropped", async () => {
    page.welcome();
    ticks(page, 0, "result", "result", "drop");
    page.status({ state: "ended" });
    page.status({ state: "ended" });
    expect(page.last("look").sample).toBe(1);
    page.say(
      {
        kind: "detail",
        sample: 1,
        media_time: 0.5,
        fate: "result",
        reason: null,
        row: null,
        text: "",
        prompt: "",
        model: "",
        frames: 1,
        missing: null,
      },
      JPEG,
    );
    await settled();
    expect(drawn.drawImage).toHaveBeenCalledOnce();
    expect(drawn.close).toHaveBeenCalledOnce();
    expect(says()).toBe("Ended");
    page.status({ state: "ended" });
    expect(page.sent.filter(({ kind }) => kind === "look").length).toBe(1);
  });
});

describe("the caption", () => {
  const rows = (...all: ReturnType<typeof row>[]) =>
    page.say({ kind: "rows", total: (all.at(-1)?.row ?? -1) + 1, rows: all });
  const text = () => (find(".ov-caption").hidden ? null : find(".ov-clamped").textContent);

  beforeEach(async () => {
    page.welcome();
    page.status();
    await picture(page);
  });

  it("is the newest answer, as text whatever it says", () => {
    const hostile = '<img src=x onerror="window.pwned=1"><b>bold</b>';
    rows(row(0, { text: hostile }));
    expect(text()).toBe(hostile);
    expect(find(".ov-caption").querySelector("img, b")).toBeNull();
    rows(row(1), row(2, { text: "newest" }));
    expect(text()).toBe("newest");
  });

  it("shows fields, errors, and no more than can be seen", () => {
    rows(row(0, { chips: [["home", "3"], ["away", "4"]] }));
    expect(text()).toBe("home3away4");
    rows(row(1, { ok: false, error: "RateLimitError: wait" }));
    expect(text()).toBe("RateLimitError: wait");
    expect(find(".ov-caption").classList.contains("ov-error")).toBe(true);
    rows(row(2, { text: "x".repeat(100_000) }));
    expect(text()?.length).toBeLessThan(400);
    expect(find(".ov-caption").classList.contains("ov-error")).toBe(false);
  });

  it("says that an answer is empty", () => {
    rows(row(0, { text: "" }));
    expect(text()).toBe("(empty answer)");
    rows(row(1, { text: " \n" }));
    expect(text()).toBe("(empty answer)");
    rows(row(2, { text: "{}", chips: [] }));
    expect(text()).toBe("{}");
    rows(row(3, { text: "again" }));
    expect(text()).toBe("again");
  });

  it("can be switched off, by its button or from elsewhere", () => {
    rows(row(0));
    const button = find(".ov-video > button, button[aria-pressed]");
    expect(button.getAttribute("aria-pressed")).toBe("true");
    button.click();
    expect([text(), page.session.caption]).toEqual([null, false]);
    expect(button.getAttribute("aria-pressed")).toBe("false");
    page.session.showCaption(true);
    expect(text()).toBe("answer 0");
  });

  it("says nothing of an earlier run", () => {
    rows(row(0));
    page.status({ run_start: 5 });
    expect(text()).toBeNull();
    rows(row(1, { sample: 5, text: "of this run" }));
    expect(text()).toBe("of this run");
  });

  it("is about what is played of a recording, not the newest answer", async () => {
    rows(row(0), row(1), row(2, { text: "the last" }));
    expect(text()).toBe("the last");
    await picture(page, { played: true });
    expect(text()).toBeNull(); // before the first answer
    for (const answer of [row(0), row(0), row(1, { ok: false, error: "late" }), row(2)]) {
      await picture(page, { played: true, answer });
      page.status(); // which comes now and then
      expect(text()).toBe(answer.ok ? answer.text : "late");
    }
    await picture(page, { played: true, answer: row(1) });
    await picture(page); // a stream goes on by itself
    expect(text()).toBe("the last");
  });

  it("has the age of a live answer, and the time of one in a file", () => {
    rows(row(0, { media_time: 6, at: Date.now() / 1000 }));
    expect(find(".ov-caption .ov-label").textContent).toBe("0:06.0");
    page.welcome({ live: true, duration: null });
    vi.advanceTimersByTime(750);
    expect(find(".ov-caption > .ov-label").textContent).toMatch(/^0\.[78] s ago$/);
  });
});

it("ends its timers with the view", async () => {
  page.welcome();
  await picture(page, { sample: 3 });
  await picture(page);
  page.end();
  expect(vi.getTimerCount()).toBe(0);
});
