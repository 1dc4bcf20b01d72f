/** The selected sample as a whole: its picture, its answer, and how that came about. */

import { copyText } from "./clipboard";
import { div, fill, h, iconButton, setAttr, setText } from "./dom";
import { clock, count, latency } from "./format";
import { Later } from "./later";
import type { Fate, Row } from "./messages";
import { setLongText } from "./long_text";
import { fateWord, stepSample } from "./samples";
import type { SampleDetail } from "./session";
import { drawStill } from "./still";
import type { Part, View } from "./view";

/** Milliseconds that a selection rests before its sample is asked for: keys may run on. */
const REST = 60;
const ELSEWHERE = "The picture is with the kernel, which does not answer.";

export const detail: Part = (view) => {
  const { session, signal } = view;
  const title = h("strong");
  const fate = fateWord();
  const canvas = h("canvas", { role: "img" });
  const missing = h("p", "ov-missing");
  const problem = h("p", { class: "ov-sample-problem", dir: "auto" });
  const chips = h("table", { class: "ov-fields", "aria-label": "Fields" });
  const answer = scroller("Answer", "ov-answer");
  const facts = h("dl", "ov-facts");
  const version = div("ov-label");
  const prompt = scroller("Prompt", "ov-asked");
  const copy = iconButton("copy", "Copy the answer", () => {
    const { selected } = session;
    const text = selected === null ? "" : factsOf(view, selected, latest).copy;
    void copyText(text).then((copied) =>
      view.announce(copied ? "Copied" : "This page may not write to the clipboard"),
    );
  });
  const previous = iconButton("previous", "Previous sample (left arrow)", () =>
    stepSample(session, -1),
  );
  const next = iconButton("next", "Next sample (right arrow)", () => stepSample(session, 1));
  const close = iconButton("close", "Close (escape)", () => session.select(null));
  const picture = div("ov-sample-picture", canvas, missing);
  const element = h(
    "section",
    { class: "ov-detail", "aria-label": "Selected sample", hidden: true },
    div("ov-detail-head", title, fate.el, previous, next, copy, close),
    div(
      "ov-detail-body",
      div("ov-detail-top", picture, facts),
      problem,
      chips,
      answer,
      version,
      prompt,
    ),
  );

  let shown: number | null = null;
  let latest: SampleDetail | undefined;
  let shownFate: Fate | null = null;
  const rest = new Later(signal);

  const render = () => {
    if (shown === null) return;
    const known = factsOf(view, shown, latest);
    const pending = latest === undefined && session.connected;
    const time = known.time === null ? "" : ` · ${clock(known.time)}`;
    setText(title, `Sample ${shown}${time}`);
    fate.show(known.fate);
    element.classList.toggle("ov-stale", pending);
    if (!pending) void drawStill(canvas, latest?.jpeg ?? null);
    setAttr(canvas, "aria-label", `Picture of sample ${shown}`);
    setText(missing, pending || latest?.jpeg ? "" : known.missing);
    setText(problem, known.problem);
    problem.classList.toggle("ov-dropped", known.fate === "drop");
    fillFields(chips, known.row?.chips ?? null);
    setLongText(answer, known.answer);
    fill(
      facts,
      ...Object.entries(known.facts).flatMap(([name, value]) => [
        h("dt", { class: "ov-label", text: name }),
        h("dd", { text: value, dir: "auto" }),
      ]),
    );
    setLongText(prompt, known.prompt);
    setText(version, known.prompt && `Prompt${known.row ? ` v${known.row.version}` : ""}`);
    for (const part of [missing, problem, answer, prompt]) part.hidden = part.textContent === "";
    copy.disabled = known.copy === "";
    previous.disabled = shown <= 0 || session.timeline.length === 0;
    next.disabled = shown >= session.timeline.length - 1;
  };
  const ask = () => {
    const sample = shown;
    if (sample !== null) rest.set(REST, () => session.look(sample));
  };
  const select = () => {
    const { selected } = session;
    if (selected === shown) return;
    shown = selected;
    element.hidden = selected === null;
    rest.cancel();
    if (selected === null) return;
    latest = session.details.get(selected);
    shownFate = session.timeline.fate(selected);
    element.lastElementChild?.scrollTo({ top: 0 });
    render();
    if (latest === undefined) ask();
  };
  session.on("selected", select, signal);
  session.on(
    "detail",
    (detail) => {
      if (detail.message.sample !== shown) return;
      latest = detail;
      render();
    },
    signal,
  );
  session.on(
    "ticks",
    (timeline) => {
      if (shown === null) return;
      next.disabled = shown >= timeline.length - 1;
      const now = timeline.fate(shown);
      if (now === shownFate) return;
      shownFate = now;
      render();
      ask();
    },
    signal,
  );
  // What could not be had without a kernel is asked for when one is there.
  session.on(
    ["connection", "welcome"],
    () => {
      if (latest !== undefined) return;
      render();
      ask();
    },
    signal,
  );
  select();
  return element;
};

interface Facts {
  time: number | null;
  fate: Fate | null;
  row: Row | null;
  answer: string;
  problem: string;
  missing: string;
  prompt: string;
  facts: Record<string, string>;
  copy: string;
}

/** What is known of a sample: from the kernel, or else from what this page holds. */
function factsOf({ session }: View, sample: number, detail: SampleDetail | undefined): Facts {
  const { timeline, prompts, model, rows } = session;
  const told = detail?.message;
  const row = told?.row ?? rows.ofSample(sample) ?? null;
  const version = prompts.find((prompt) => prompt.version === row?.version);
  const inForce = row?.version === model.get("prompt_version") ? model.get("prompt") : "";
  const onTimeline = sample < timeline.length ? timeline.fate(sample) : null;
  const fate = onTimeline ?? (row === null ? null : row.ok ? "result" : "error");
  const answer = told?.text || row?.text || "";
  const facts: Record<string, string> = {};
  if (row !== null) {
    facts.Latency = latency(row.latency_ms);
    if (row.tokens !== null) facts.Tokens = count(row.tokens);
  }
  const asked = told?.model || version?.model;
  if (asked) facts.Model = asked;
  if (told !== undefined && told.frames > 1) facts.Clip = `${told.frames} frames`;
  return {
    time: told?.media_time ?? timeline.times[sample] ?? row?.media_time ?? null,
    fate,
    row,
    answer,
    problem: row?.error ?? (told?.reason ? `Dropped: ${told.reason}` : ""),
    missing: told === undefined ? ELSEWHERE : (told.missing ?? ""),
    prompt: told?.prompt || version?.text || inForce,
    facts,
    copy: answer || row?.error || "",
  };
}

/** Text of any length that scrolls, by keys too. */
function scroller(label: string, name: string): HTMLElement {
  return div({
    class: `ov-scroller ${name}`,
    dir: "auto",
    tabindex: 0,
    role: "group",
    "aria-label": label,
  });
}

function fillFields(table: HTMLElement, chips: [string, string][] | null): void {
  table.hidden = chips === null || chips.length === 0;
  fill(
    table,
    ...(chips ?? []).map(([name, value]) =>
      h(
        "tr",
        {},
        h("th", { text: name, scope: "row", dir: "auto" }),
        h("td", { text: value, dir: "auto" }),
      ),
    ),
  );
}
