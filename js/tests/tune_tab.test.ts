import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ticks } from "./pictures";
import { STATE, cell, row, stubLayout, tuneTab, type Tab } from "./tuning_fake";

let tab: Tab;

beforeEach(() => {
  vi.useFakeTimers();
  stubLayout(500);
  tab = tuneTab();
  tab.state();
});
afterEach(() => {
  tab.end();
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const find = <E extends HTMLElement = HTMLElement>(selector: string): E => {
  const found = tab.page.view.root.querySelector<E>(selector);
  if (found === null) throw new Error(`no ${selector}`);
  return found;
};
const all = (selector: string) => [...tab.page.view.root.querySelectorAll<HTMLElement>(selector)];
const button = (name: string) => {
  const found = all("button").find(
    (one) => (one.getAttribute("aria-label") ?? one.textContent) === name && !one.hidden,
  );
  if (found === undefined) throw new Error(`no button ${name}`);
  return found as HTMLButtonElement;
};
/** The grid with five samples, answered. */
const filled = () => {
  tab.samples(0, 1, 2, 3, 4);
  tab.pass();
  tab.tell({ kind: "cells", revision: 1, rows: [0, 1, 2, 3, 4].map((sample) => row(sample)) });
  tab.pass();
};
/** Samples that were asked for. */
const wanted = (kind: "want_cells" | "want_thumbs") =>
  tab.page.sent.flatMap((message) =>
    message.kind === "tune" && message.message.kind === kind ? message.message.samples : [],
  );
const rows = () => all(".ov-tune-row").filter((one) => !one.hidden);

it("tells the kernel that it is shown, and when it is not", () => {
  const { view } = tab.asked("open");
  tab.show(false);
  expect(tab.asked("close").view).toBe(view);
  expect(find(".ov-tune").hidden).toBe(true);
  tab.show(true);
  tab.page.welcome(); // of a kernel that knows nothing of this page
  expect(tab.count("open")).toBe(3);
});

describe("versions", () => {
  it("are listed with note, parent, model, temperature, answers and score, the winner marked", () => {
    const [two, one] = all(".ov-tune-versions tbody tr").map((line) => line.textContent ?? "");
    expect(two).toMatch(/^v2★Read the banner/);
    expect(two).toContain("shorter · local/read · temperature 0.5 · from v1");
    expect(two).toContain("75 %41–93 %");
    expect(one).toContain("in force · local/read");
    expect(find<HTMLElement>(".ov-score-at").style.left).toBe("75%");
    expect(find(".ov-best").hidden).toBe(false);
    expect(all(".ov-best")[1]?.hidden).toBe(true);
  });

  it("are chosen and compared, here at once, and then as the kernel says", async () => {
    button("v1").click();
    expect(tab.asked("choose").changes).toEqual({ version: 1 });
    expect(button("v1").getAttribute("aria-pressed")).toBe("true");
    tab.state(); // was under way
    expect(button("v1").getAttribute("aria-pressed")).toBe("true");
    await tab.answer("choose");
    tab.state({ version: 1, baseline: 2 });
    expect(button("v1").getAttribute("aria-pressed")).toBe("true");
    button("Compare with v2").click();
    expect(tab.asked("choose").changes).toEqual({ baseline: 2 });
  });

  it("are chosen by a click anywhere on their line, once", () => {
    all(".ov-tune-versions tbody .ov-tune-prompt")[1]?.click();
    expect(tab.asked("choose").changes).toEqual({ version: 1 });
    expect(tab.count("choose")).toBe(1);
    button("Compare with v2").click();
    expect(tab.asked("choose").changes).toEqual({ baseline: 2 });
    expect(tab.count("choose")).toBe(2);
  });

  it("are asked for anew where a choice was refused", async () => {
    button("v1").click();
    await tab.answer("choose", "no prompt version 1");
    expect(tab.count("open")).toBe(2);
    tab.state();
    expect(button("v2, best so far").getAttribute("aria-pressed")).toBe("true");
  });

  it("show what changed as text, and what the labels say of it", () => {
    const { segments } = {
      segments: [
        { kind: "same" as const, text: "Read the " },
        { kind: "removed" as const, text: "<b>score</b>" },
        { kind: "added" as const, text: "banner" },
      ],
    };
    const changes = [{ name: "max_output_tokens", old: "null", new: "40" }];
    tab.tell({ kind: "diff", old: 1, new: 2, segments, schema: [], changes });
    expect(find(".ov-tune-diff del").textContent).toBe("<b>score</b>");
    expect(find(".ov-tune-diff ins").textContent).toBe("banner");
    expect(find(".ov-tune-changes").textContent).toBe("max output tokens null → 40");
    expect(find(".ov-tune-flips").textContent).toBe("▲ 3 better▼ 1 worse");
    expect(find(".ov-tune-verdict").textContent).toBe("Not told from chance yet.");
  });

  it("are applied, unless they are in force or the stream is over", async () => {
    button("Apply v2").click();
    expect(tab.asked("apply").version).toBe(2);
    await tab.answer("apply", "A v0.2 server cannot change that");
    expect([...tab.page.view.notices.all.values()][0]?.problem.message).toContain("v0.2");
    tab.state({ version: 1 });
    expect(button("Apply v1").disabled).toBe(true);
    tab.state();
    tab.page.status({ state: "ended", status: "ended" });
    expect(button("Apply v2").disabled).toBe(true);
    expect(find(".ov-tune-acts").textContent).toContain("restart it");
  });

  it("are copied as code", async () => {
    const write = vi.fn(() => Promise.resolve());
    vi.stubGlobal("navigator", { clipboard: { writeText: write } });
    button("Copy as code").click();
    expect(tab.asked("want_code").version).toBe(2);
    tab.tell({ kind: "code", version: 2, code: "stream = 1" });
    await vi.advanceTimersByTimeAsync(0);
    expect(write).toHaveBeenCalledWith("stream = 1");
    expect(tab.page.spoken.at(-1)).toBe("The code of v2 was copied");
  });
});

describe("the judge", () => {
  it("of one's own has its own name, also where another follows it", () => {
    const judge = find<HTMLSelectElement>("[aria-label='When an answer counts as right']");
    tab.state({ chosen: { ...STATE.chosen, judge: "near" } });
    expect(judge.value).toBe("near");
    tab.state({ chosen: { ...STATE.chosen, judge: "by field" } });
    expect(judge.value).toBe("by field");
    expect([...judge.options].map(({ value }) => value)).toEqual(["exact", "contains", "by field"]);
  });
});

describe("the field", () => {
  it("is one of those with a name, or all: texts beside structured answers are no third", async () => {
    const fields = [null, "event", "player"].map((name) => ({
      name,
      title: name ?? "answer",
      choices: [],
    }));
    tab.state({ fields });
    const field = find<HTMLSelectElement>("[aria-label=Field]");
    const chosen = () => field.options[field.selectedIndex]?.text;
    expect(chosen()).toBe("All fields");
    expect([...field.options].map(({ text }) => text)).toEqual(["All fields", "event", "player"]);
    field.selectedIndex = 2;
    field.dispatchEvent(new Event("change"));
    expect(tab.asked("choose").changes).toEqual({ field: "player" });
    await tab.answer("choose");
    tab.state({ fields, chosen: { ...STATE.chosen, field: "event" } });
    expect(chosen()).toBe("event");
  });
});

describe("the grid", () => {
  it("has an element for the rows in view alone, and asks for these", () => {
    tab.samples(...Array.from({ length: 5000 }, (_, i) => i));
    tab.pass();
    expect(rows().length).toBeLessThan(20);
    // The newest is in view, and on the card.
    expect(wanted("want_cells")).toContain(4999);
    expect(wanted("want_cells").length).toBe(rows().length);
    expect(wanted("want_thumbs")).toEqual(wanted("want_cells"));
    expect(find(".ov-tune-grid").getAttribute("aria-rowcount")).toBe("5001");
    const grid = find(".ov-tune-grid");
    grid.scrollTop = 58 * 3000;
    grid.dispatchEvent(new Event("scroll"));
    tab.pass();
    expect(tab.asked("want_cells").samples).toContain(3000);
    expect(rows().length).toBeLessThan(20);
  });

  it("asks again for what is stale, and for nothing else", async () => {
    filled();
    const all = [0, 1, 2, 3, 4];
    expect(wanted("want_cells").sort()).toEqual(all);
    tab.state();
    tab.pass();
    expect(wanted("want_cells").sort()).toEqual(all);
    tab.state({ revision: 2 });
    tab.pass();
    tab.state({ revision: 2, labelled: 9 });
    tab.pass();
    expect(wanted("want_cells").sort()).toEqual([...all, ...all].sort());
    await tab.answer("want_cells", "busy");
    tab.state({ revision: 2, labelled: 10 });
    tab.pass();
    expect(wanted("want_cells").length).toBeGreaterThan(10);
  });

  it("tells what differs and what is right by signs, and shows answers as text", () => {
    filled();
    const parts = [
      { name: "home", text: "<i>84</i>", right: false, differs: true },
      { name: "away", text: "79", right: true, differs: false },
    ];
    const cells = [cell(1, { right: true }), cell(2, { parts, right: false, differs: true })];
    tab.tell({ kind: "cells", revision: 1, rows: [row(0, { cells })] });
    tab.pass();
    const [one, two] = [...(rows()[0] as HTMLElement).querySelectorAll(".ov-tune-cell")];
    const signs = (el: Element | undefined) =>
      [...(el?.querySelectorAll<HTMLElement>("[role=img]") ?? [])]
        .filter((sign) => !sign.hidden)
        .map((sign) => sign.getAttribute("aria-label"));
    expect(signs(one)).toEqual(["right"]);
    expect(signs(two)).toEqual(["differs from the version left of it", "wrong"]);
    expect(two?.textContent).toContain("✗ home <i>84</i>");
    expect(two?.querySelector("i")).toBeNull();
  });

  it("says of rows that are not there yet neither that they differ nor that they are right", () => {
    tab.samples(...Array.from({ length: 5 }, (_, i) => i));
    tab.pass();
    expect(rows().length).toBe(5);
    const signs = [...document.querySelectorAll<HTMLElement>(".ov-tune-cell [role=img]")];
    expect(signs.filter((sign) => !sign.hidden)).toEqual([]);
    expect(signs.length).toBeGreaterThanOrEqual(10);
    const busy = document.querySelectorAll(".ov-tune-cell[aria-busy]");
    expect([...busy].map((one) => one.textContent?.replace(/[≠✓✗]/g, ""))).toEqual(Array(10).fill(""));
  });

  it("filters through the kernel, and takes only what is new of the samples", () => {
    filled();
    button("Differ").click();
    expect(tab.asked("choose").changes).toEqual({ only: ["different"] });
    tab.state({ chosen: { ...STATE.chosen, only: ["different"] } });
    expect(button("Differ").getAttribute("aria-pressed")).toBe("true");
    button("Unlabelled").click();
    expect(tab.asked("choose").changes).toEqual({ only: ["different", "unlabelled"] });
    const more = new DataView(Uint32Array.of(7, 9).buffer);
    tab.tell({ kind: "samples", start: 2, total: 4 }, [more]);
    tab.pass();
    expect(rows().map((one) => one.querySelector(".ov-tune-number")?.textContent)).toEqual([
      "#0",
      "#1",
      "#7",
      "#9",
    ]);
  });

  it("keeps the focus in its head, in a host's shadow root too", () => {
    const host = document.createElement("div");
    document.body.append(host);
    host.attachShadow({ mode: "open" }).append(tab.page.view.root);
    const head = () => all(".ov-tune-column")[1];
    head()?.focus();
    const before = head();
    tab.state({ labelled: 9, versions: STATE.versions.map((one) => ({ ...one, best: false })) });
    expect(head()).not.toBe(before);
    expect(host.shadowRoot?.activeElement).toBe(head());
    host.remove();
  });

  it("selects the sample and the version that are clicked", () => {
    filled();
    (rows()[3] as HTMLElement).querySelector<HTMLElement>("[data-version='1']")?.click();
    expect(tab.page.session.selected).toBe(3);
    expect(tab.asked("choose").changes).toEqual({ version: 1 });
    tab.pass();
    expect(rows()[3]?.getAttribute("aria-selected")).toBe("true");
  });
});

describe("keys", () => {
  beforeEach(filled);

  it("step through the samples of the grid", () => {
    tab.samples(1, 3, 8);
    tab.press("ArrowRight");
    expect(tab.page.session.selected).toBe(8);
    expect(tab.page.spoken.at(-1)).toBe("sample 8");
    tab.press("ArrowUp");
    expect(tab.page.session.selected).toBe(3);
    tab.press("Home");
    expect(tab.page.session.selected).toBe(1);
    tab.page.session.select(5);
    tab.press("ArrowDown");
    expect(tab.page.session.selected).toBe(8);
  });

  it("say right and wrong of the chosen version, once for each press", async () => {
    tab.page.session.select(2);
    expect(tab.press("r").defaultPrevented).toBe(true);
    const mark = { kind: "mark", sample: 2, version: 2, field: null, right: true };
    expect(tab.asked("mark")).toEqual(mark);
    await tab.answer("mark");
    expect(tab.page.spoken.at(-1)).toBe("Sample 2: v2 is right");
    tab.press("r", { repeat: true });
    expect(tab.count("mark")).toBe(1);
    tab.press("W");
    expect(tab.asked("mark").right).toBe(false);
  });

  it("mean the version that was chosen just before", () => {
    tab.page.session.select(2);
    tab.press("v");
    tab.press("r");
    expect(tab.asked("mark").version).toBe(1);
  });

  it("label the newest sample while one watches", () => {
    tab.press("w");
    expect(tab.asked("mark")).toMatchObject({ sample: 4, version: 2 });
    // Of a sample that came after the draft was tried, the answer that there is.
    tab.samples(0, 1, 2, 3, 4, 5);
    const cells = [cell(1), cell(2, { answered: false })];
    tab.tell({ kind: "cells", revision: 1, rows: [row(5, { cells })] });
    expect(find(".ov-tune-said").textContent).toContain("v1 said by v1");
    tab.press("w");
    expect(tab.asked("mark")).toMatchObject({ sample: 5, version: 1 });
  });

  it("pick closed values of the chosen field", () => {
    tab.page.session.select(2);
    tab.press("1");
    expect(tab.count("expect")).toBe(0);
    const fields = [
      { name: "event", title: "event", choices: ['"DUNK"', "null"] },
      { name: "player", title: "player", choices: [] },
    ];
    tab.state({ fields });
    tab.press("1"); // all fields: which one?
    expect(tab.count("expect")).toBe(0);
    tab.state({ fields, chosen: { ...STATE.chosen, field: "event" } });
    tab.press("2");
    expect(tab.asked("expect")).toMatchObject({ field: "event", value: "null", typed: false });
    expect(all(".ov-tune-choices button").map((one) => one.textContent)).toEqual(["1DUNK", "2null"]);
    tab.press("3");
    expect(tab.count("expect")).toBe(1);
  });

  it("type an expected value, and go on by keys", async () => {
    tab.page.session.select(2);
    tab.press("e");
    const field = find<HTMLInputElement>(".ov-tune-labels input");
    expect(document.activeElement).toBe(field);
    field.value = "84";
    tab.press("r", {}, field);
    expect(tab.count("mark")).toBe(0);
    tab.press("Enter", {}, field);
    expect(tab.asked("expect")).toMatchObject({ sample: 2, value: "84", typed: true });
    await tab.answer("expect");
    expect(field.value).toBe("");
    expect(document.activeElement).not.toBe(field);
  });

  it("take back, with U and Ctrl+Z", () => {
    tab.press("u");
    expect(tab.count("undo")).toBe(0);
    tab.state({ undo: "sample 2, right" });
    tab.press("u");
    expect(tab.press("z", { ctrlKey: true }).defaultPrevented).toBe(true);
    expect(tab.count("undo")).toBe(2);
    expect(tab.press("z").defaultPrevented).toBe(false);
  });

  it("stretch the chosen samples with shift", () => {
    ticks(tab.page, 0, "result", "result", "result", "result", "result");
    tab.page.session.select(2);
    tab.press("ArrowRight", { shiftKey: true });
    expect(tab.asked("choose").changes).toEqual({ first: 2, last: 3 });
    tab.press("ArrowRight", { shiftKey: true }); // faster than the kernel answers
    expect(tab.asked("choose").changes).toEqual({ first: 2, last: 4 });
    tab.press("ArrowLeft", { shiftKey: true });
    expect(tab.asked("choose").changes).toEqual({ first: 2, last: 3 });
    tab.page.session.select(1);
    tab.press("ArrowLeft", { shiftKey: true });
    expect(tab.asked("choose").changes).toEqual({ first: 0, last: 1 });
  });

  it("are not the host's where they mean nothing now: it would edit cells by them", () => {
    const prevented = (keys: string) => [...keys].filter((key) => tab.press(key).defaultPrevented);
    expect(prevented("rwuev19")).toEqual([..."rwuev19"]); // one text: no closed values
    tab.page.session.connection = "silent";
    expect(prevented("rwuev19")).toEqual([..."rwuev19"]);
    expect(tab.press("x").defaultPrevented).toBe(false);
    expect(tab.count("mark")).toBe(2);
  });

  it("pick once for each press", () => {
    const fields = [{ name: "event", title: "event", choices: ['"DUNK"'] }];
    tab.state({ fields, chosen: { ...STATE.chosen, only: ["unlabelled"] } });
    tab.press("1");
    tab.press("1", { repeat: true }); // on the sample that came in its place
    expect(tab.count("expect")).toBe(1);
  });

  it("are the host's while another tab is shown, and where one writes", () => {
    const area = find<HTMLTextAreaElement>("textarea");
    expect(tab.press("r", {}, area).defaultPrevented).toBe(false);
    expect(tab.press("z", { ctrlKey: true }, area).defaultPrevented).toBe(false);
    expect(tab.press("r", { ctrlKey: true }).defaultPrevented).toBe(false);
    tab.show(false);
    expect(tab.press("r").defaultPrevented).toBe(false);
    expect(tab.count("mark")).toBe(0);
  });

  it("hand the selection on where a labelled sample goes from the grid", async () => {
    tab.state({ chosen: { ...STATE.chosen, only: ["unlabelled"] } });
    tab.page.session.select(2);
    tab.press("r");
    await tab.answer("mark", "there is no answer");
    expect(tab.page.session.selected).toBe(2);
    tab.press("r");
    await tab.answer("mark");
    expect(tab.page.session.selected).toBe(3);
  });
});

describe("the draft", () => {
  const area = () => find<HTMLTextAreaElement>("[aria-label='Draft of the prompt']");
  const type = (text: string) => {
    area().value = text;
    area().dispatchEvent(new Event("input"));
  };
  const line = () => find(".ov-tune-draft .ov-line").textContent;

  it("keeps what was typed before the kernel said what is asked, and takes the rest from that", () => {
    tab.end();
    tab = tuneTab();
    type("typed at once");
    expect(line()).toBe("A model is needed");
    tab.state();
    expect([area().value, line()]).toEqual(["typed at once", "draft, from v2"]);
    tab.state({ version: 1 }); // what was typed is not thrown away later either
    expect([area().value, line()]).toEqual(["typed at once", "draft, from v2"]);
  });

  it("is the chosen version's until it is edited", () => {
    expect(area().value).toBe("Read the banner");
    tab.state({ version: 1 });
    expect(area().value).toBe("Read the score");
    type("Mine");
    tab.state();
    expect(area().value).toBe("Mine");
    expect(line()).toBe("draft, from v1");
    button("Revert").click();
    expect(area().value).toBe("Read the banner");
  });

  it("is tried on the last samples, by a key too, and its version goes on from there", async () => {
    const seen = vi.fn();
    document.body.addEventListener("keydown", seen);
    type("Any two words");
    find<HTMLInputElement>("[aria-label='How many of the last samples']").value = "12";
    tab.press("Enter", { ctrlKey: true }, area());
    expect(seen).not.toHaveBeenCalled();
    document.body.removeEventListener("keydown", seen);
    expect(tab.asked("try")).toEqual({
      kind: "try",
      prompt: "Any two words",
      model: "local/read",
      output_schema: null,
      max_output_tokens: null,
      temperature: 0.5,
      note: "",
      last: 12,
    });
    await tab.answer("try");
    expect(area().value).toBe("Any two words");
    expect(button("Try on last").disabled).toBe(false);
  });

  it("keeps what is typed while it is on its way", async () => {
    type("Any two words");
    button("Try on last").click();
    type("Any two words, in capitals");
    await tab.answer("try");
    const tried = { version: 3, text: "Any two words", model: "local/read", at: 3 };
    const rest = { output_schema: null, max_output_tokens: null };
    const { prompts } = tab.page.session;
    tab.page.say({ kind: "prompts", prompts: [...prompts, { ...tried, ...rest }] });
    tab.state({ version: 3 });
    expect(area().value).toBe("Any two words, in capitals");
    expect(line()).toContain("draft");
  });

  it("is tried on the selected sample alone", () => {
    expect(() => button("only the selected")).toThrow();
    tab.page.session.select(7);
    button("only the selected").click();
    expect(tab.asked("choose").changes).toEqual({ first: 7, last: 7 });
    expect(find(".ov-tune-try").textContent).toContain("sample 7");
    button("Try on").click();
    expect(tab.asked("try").last).toBeNull();
  });

  it("is tried on the chosen stretch", () => {
    tab.state({ chosen: { ...STATE.chosen, first: 3, last: 9 } });
    expect(find(".ov-tune-try").textContent).toContain("samples 3 to 9 (7 samples)");
    button("Try on").click();
    expect(tab.asked("try").last).toBeNull();
    button("Forget the chosen stretch").click();
    expect(tab.asked("choose").changes).toEqual({ first: null, last: null });
  });

  it("says what is wrong with it, in the kernel's words too", async () => {
    type(" ");
    expect(line()).toBe("A prompt is needed");
    expect(button("Try on last").disabled).toBe(true);
    type("x");
    const schema = find<HTMLTextAreaElement>("[aria-label='Schema of the draft']");
    schema.value = "{";
    schema.dispatchEvent(new Event("input"));
    expect(line()).toContain("not JSON");
    schema.value = '{"type": "nothing"}';
    schema.dispatchEvent(new Event("input"));
    button("Try on last").click();
    await tab.answer("try", "no such type");
    expect(line()).toBe("no such type");
  });

  it("shows how far a backfill is, and cancels and resumes it", () => {
    const backfill = {
      number: 3,
      version: 2,
      state: "running",
      status: "running: 4 of 10 samples",
      done: 4,
      total: 10,
      errors: 1,
      cached: 2,
      missing: 0,
      remaining: 6,
      active: true,
    };
    tab.state({ backfills: [backfill] });
    expect(find<HTMLProgressElement>("progress").value).toBe(4);
    expect(find(".ov-tune-backfills").textContent).toContain("4 of 10 samples");
    button("Cancel").click();
    expect(tab.asked("cancel").number).toBe(3);
    const status = "cancelled: 4 of 10 samples (by its user)";
    tab.state({ backfills: [{ ...backfill, active: false, status }] });
    expect(find("progress").hidden).toBe(true);
    expect(find(".ov-tune-backfills").textContent).toContain("by its user");
    expect(tab.page.spoken).toEqual([`v2 ${status}`]);
    button("Resume").click();
    expect(tab.asked("resume").number).toBe(3);
  });
});

describe("a stretch of the timeline", () => {
  const point = (type: string, x: number, init: PointerEventInit = {}) =>
    find(".ov-track").dispatchEvent(
      new PointerEvent(type, { clientX: x, bubbles: true, cancelable: true, button: 0, ...init }),
    );
  beforeEach(() => {
    vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(100);
    ticks(tab.page, 0, ...Array.from({ length: 20 }, () => "result" as const)); // 0 to 9.5 s
    tab.page.view.track.domain = { start: 0, end: 10 };
  });

  it("is chosen by dragging, which selects no sample", () => {
    const clicked = vi.fn();
    find(".ov-track").addEventListener("click", clicked);
    point("pointerdown", 18);
    point("pointermove", 52);
    expect(find(".ov-tune-band").hidden).toBe(false);
    point("pointerup", 52);
    expect(clicked(point("click", 52))).toBeUndefined();
    expect(clicked).toHaveBeenCalledTimes(1); // by this test alone
    expect(tab.asked("choose").changes).toEqual({ first: 4, last: 10 });
  });

  it("reaches from the selected sample to one that is clicked with shift", () => {
    tab.page.session.select(3);
    point("pointerdown", 60);
    point("pointerup", 60);
    point("click", 60, { shiftKey: true });
    expect(tab.asked("choose").changes).toEqual({ first: 3, last: 12 });
  });

  it("leaves plain clicks, and other tabs, alone", () => {
    point("pointerdown", 60);
    point("pointermove", 62);
    point("pointerup", 62);
    expect(tab.count("choose")).toBe(0);
    tab.show(false);
    point("pointerdown", 18);
    point("pointermove", 52);
    point("pointerup", 52);
    expect(tab.count("choose")).toBe(0);
  });

  it("of an earlier run is not on the timeline of this one", () => {
    tab.state({ chosen: { ...STATE.chosen, first: 4, last: 8 } });
    expect(find(".ov-tune-band").hidden).toBe(false);
    tab.page.status({ run_start: 10 });
    tab.page.view.track.moved();
    expect(find(".ov-tune-band").hidden).toBe(true);
    tab.state({ chosen: { ...STATE.chosen, first: 4, last: 12 } });
    expect(find(".ov-tune-band").hidden).toBe(false);
    expect(find(".ov-tune-band").style.left).toBe("47px"); // from sample 10 on
  });

  it("is shown where the timeline is", () => {
    tab.state({ chosen: { ...STATE.chosen, first: 4, last: 8 } });
    expect(find(".ov-tune-band").style.left).toBe("17px");
    expect(find(".ov-tune-band").style.width).toBe("26px");
    tab.page.view.track.domain = { start: 0, end: 20 };
    tab.page.view.track.moved();
    expect(find(".ov-tune-band").style.left).toBe("7px");
  });
});
