import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { detail } from "../src/detail";
import type { Detail } from "../src/messages";
import { fake, type Fake } from "./fake_session";
import { JPEG, settled, stubPictures, ticks } from "./pictures";
import { row } from "./rows";

let page: Fake;
let panel: HTMLElement;
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
  panel = detail(page.view);
  page.view.root.append(panel);
}

const find = (selector: string) => {
  const found = panel.querySelector<HTMLElement>(selector);
  if (found === null) throw new Error(`no ${selector}`);
  return found;
};
const shown = (selector: string) => (find(selector).hidden ? null : find(selector).textContent);
const button = (name: string) => {
  const found = [...panel.querySelectorAll("button")].find((b) => b.title.startsWith(name));
  if (found === undefined) throw new Error(`no button ${name}`);
  return found;
};
const looks = () => page.sent.flatMap((m) => (m.kind === "look" ? [m.sample] : []));

function tell(sample: number, changes: Partial<Detail> = {}, jpeg = JPEG): void {
  page.say(
    {
      kind: "detail",
      sample,
      media_time: sample / 2,
      fate: "result",
      reason: null,
      row: row(sample),
      text: `the whole answer ${sample}`,
      prompt: "Read the score",
      model: "local/read",
      frames: 1,
      missing: null,
      ...changes,
    },
    jpeg,
  );
}

function five(): void {
  page.welcome();
  ticks(page, 0, "result", "error", "drop", "result", "waiting");
}

it("is hidden until a sample is selected, and again when none is", () => {
  five();
  expect(panel.hidden).toBe(true);
  page.session.select(3);
  expect(panel.hidden).toBe(false);
  button("Close").click();
  expect(panel.hidden).toBe(true);
  expect(page.session.selected).toBeNull();
});

it("shows what the kernel tells of the sample, and nothing of others", async () => {
  five();
  page.session.select(3);
  vi.advanceTimersByTime(100);
  expect(looks()).toEqual([3]);
  tell(0);
  tell(3, { frames: 12 });
  await settled();
  expect(find("strong").textContent).toBe("Sample 3 · 0:01.5");
  expect(shown(".ov-answer")).toBe("the whole answer 3");
  expect(find(".ov-facts").textContent).toBe("Latency171 msTokens312Modellocal/readClip12 frames");
  expect(shown(".ov-asked")).toBe("Read the score");
  expect(find("canvas").hidden).toBe(false);
  expect(drawn.drawImage).toHaveBeenCalledOnce();
  expect(drawn.close).toHaveBeenCalledOnce();
  expect(shown(".ov-missing")).toBeNull();
});

it("asks once for the sample on which the keys came to rest", () => {
  five();
  for (const sample of [0, 1, 2, 3]) {
    page.session.select(sample);
    vi.advanceTimersByTime(20);
  }
  vi.advanceTimersByTime(200);
  expect(looks()).toEqual([3]);
});

it("shows a sample that was looked at before at once", () => {
  five();
  tell(0);
  page.session.select(0);
  expect(shown(".ov-answer")).toBe("the whole answer 0");
  vi.advanceTimersByTime(200);
  expect(looks()).toEqual([]);
});

it("does not take a sample for known that something became of since", () => {
  five();
  tell(4, { fate: "waiting", row: null, text: "" });
  ticks(page, 4, "result");
  page.session.select(4);
  vi.advanceTimersByTime(100);
  expect(looks()).toEqual([4]);
});

it("asks again when something became of the sample", () => {
  five();
  page.session.select(4);
  vi.advanceTimersByTime(100);
  tell(4, { fate: "waiting", row: null, text: "" });
  expect(shown(".ov-fate")).toBe("waiting");
  ticks(page, 4, "waiting");
  vi.advanceTimersByTime(100);
  expect(looks()).toEqual([4]);
  ticks(page, 4, "error", "waiting");
  expect(shown(".ov-fate")).toBe("error");
  vi.advanceTimersByTime(100);
  expect(looks()).toEqual([4, 4]);
  tell(4, { fate: "error", row: row(4, { ok: false, error: "TimeoutError", text: "" }), text: "" });
  expect(shown(".ov-sample-problem")).toBe("TimeoutError");
  expect(shown(".ov-answer")).toBeNull();
});

it("gives the reason of a drop, and of a picture that is no longer kept", async () => {
  five();
  page.session.select(2);
  const missing = "the store keeps the last 256 MB";
  tell(2, { fate: "drop", reason: "replaced", row: null, text: "", missing }, []);
  await settled();
  expect(shown(".ov-sample-problem")).toBe("Dropped: replaced");
  expect(shown(".ov-missing")).toBe(missing);
  expect(find("canvas").hidden).toBe(true);
  expect(button("Copy").disabled).toBe(true);
});

it("shows fields as a table and everything as text", () => {
  five();
  page.session.select(0);
  const hostile = "<script>window.pwned=1</script>";
  tell(0, {
    row: row(0, { chips: [["score", hostile], ["clock", "11:02"]] }),
    text: hostile.repeat(3000),
    prompt: hostile,
  });
  const cells = [...panel.querySelectorAll("th, td")].map((cell) => cell.textContent);
  expect(cells).toEqual(["score", hostile, "clock", "11:02"]);
  expect(shown(".ov-answer")?.length).toBe(hostile.length * 3000);
  expect(panel.querySelector("script")).toBeNull();
  expect(find(".ov-answer").getAttribute("dir")).toBe("auto");
  tell(0);
  expect(shown(".ov-fields")).toBeNull();
});

it("walks to the neighbours, as far as there are any", () => {
  five();
  page.session.select(1);
  button("Previous").click();
  expect(page.session.selected).toBe(0);
  expect(button("Previous").disabled).toBe(true);
  page.session.select(4);
  expect(button("Next").disabled).toBe(true);
  ticks(page, 4, "result", "waiting");
  expect(button("Next").disabled).toBe(false);
});

it("shows what a notebook without a kernel holds", () => {
  begin({ selected: 7, recent: [row(6, { sample: 7, media_time: 3.5 })] });
  expect(panel.hidden).toBe(false);
  expect(find("strong").textContent).toBe("Sample 7 · 0:03.5");
  expect(shown(".ov-fate")).toBe("result");
  expect(shown(".ov-answer")).toBe("answer 6");
  expect(shown(".ov-asked")).toBe("Read the score");
  expect(shown(".ov-missing")).toContain("does not answer");
  expect(button("Previous").disabled).toBe(true); // no other samples are known
  page.welcome();
  vi.advanceTimersByTime(100);
  expect(looks().at(-1)).toBe(7);
});

it("copies the whole answer", async () => {
  const writeText = vi.fn(() => Promise.resolve());
  vi.stubGlobal("navigator", { clipboard: { writeText } });
  five();
  page.session.select(0);
  tell(0, { text: "a long answer" });
  button("Copy").click();
  await settled();
  expect(writeText).toHaveBeenCalledWith("a long answer");
  expect(page.spoken).toEqual(["Copied"]);
});

it("says when it may not copy", async () => {
  vi.stubGlobal("navigator", {});
  document.execCommand = () => false;
  five();
  page.session.select(0);
  tell(0);
  button("Copy").click();
  await settled();
  expect(page.spoken[0]).toContain("may not");
  expect(document.querySelector("body > textarea")).toBeNull();
});
