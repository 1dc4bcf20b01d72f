/** The sample that labels are about: its picture, what was said, what should have been. */

import { button, div, fill, focusOn, h, setAttr, setText, span } from "../dom";
import { clock } from "../format";
import { Later } from "../later";
import { drawStill } from "../still";
import { expectation, expected, judged, mark, pick, plain, step, target, undo } from "./labels";
import type { Tuning } from "./tuning";

/** Milliseconds that a selection rests before its picture is asked for. */
const REST = 60;
const KEYS: [string, string][] = [
  ["← →", "step"],
  ["R", "right"],
  ["W", "wrong"],
  ["1–9", "pick"],
  ["E", "type"],
  ["V", "version"],
  ["U", "undo"],
];

export interface Card {
  el: HTMLElement;
  /** To where an expected answer is typed. */
  write(): void;
}

export function card(tuning: Tuning): Card {
  const { view } = tuning;
  const { session, signal } = view;
  const title = h("strong");
  const newest = span("ov-label");
  const canvas = h("canvas", { role: "img" });
  const missing = h("p", "ov-missing");
  const said = div({ class: "ov-tune-said", dir: "auto" });
  const now = div({ class: "ov-tune-known", dir: "auto" });
  const clear = signButton("×", "Forget what is expected", () => {
    const sample = target(tuning);
    const field = tuning.field?.name ?? null;
    if (sample !== null) void tuning.ask({ kind: "unlabel", sample, field });
  });
  const right = button("✓ Right", () => void mark(tuning, true), "ov-button ov-right");
  const wrong = button("✗ Wrong", () => void mark(tuning, false), "ov-button ov-wrong-button");
  setAttr(right, "aria-keyshortcuts", "R");
  setAttr(wrong, "aria-keyshortcuts", "W");
  const choices = div({ class: "ov-tune-choices", role: "group", "aria-label": "Expected" });
  const typed = h("input", {
    class: "ov-field",
    dir: "auto",
    on: {
      keydown: (event) => {
        event.stopPropagation(); // keys that are typed are not the notebook's commands
        if (event.key === "Escape") focusOn(view.root);
        if (event.key !== "Enter" || event.isComposing) return;
        void expected(tuning, typed.value, true).then((ok) => {
          if (!ok) return;
          typed.value = "";
          focusOn(view.root); // on to the next sample by keys
        });
      },
    },
  });
  const back = button("Undo", () => void undo(tuning), "ov-link");
  setAttr(back, "aria-keyshortcuts", "U");
  const previous = signButton("‹", "Previous sample of the grid (left arrow)", () =>
    step(tuning, -1),
  );
  const next = signButton("›", "Next sample of the grid (right arrow)", () => step(tuning, 1));
  const el = h(
    "section",
    { class: "ov-tune-card", "aria-label": "Label" },
    div("ov-tune-card-head", title, newest, previous, next),
    div("ov-tune-picture", canvas, missing),
    div(
      "ov-tune-labels",
      said,
      div("ov-tune-judge", right, wrong, back),
      div("ov-tune-expectation", span({ class: "ov-label", text: "Expected" }), now, clear),
      choices,
      typed,
      div(
        { class: "ov-tune-keys ov-label", "aria-hidden": true },
        ...KEYS.map(([key, does]) => span({}, h("kbd", { text: key }), does)),
      ),
    ),
  );

  let shown: number | null = null;
  let offered = "";
  const rest = new Later(signal);

  const render = () => {
    const { state, field } = tuning;
    const sample = target(tuning);
    if (sample !== shown) {
      shown = sample;
      rest.cancel();
      if (sample !== null && session.details.get(sample) === undefined) {
        rest.set(REST, () => session.look(sample));
      }
    }
    const row = sample === null ? undefined : tuning.rows.get(sample);
    if (sample !== null && state !== null) tuning.want([sample]);
    const detail = sample === null ? undefined : session.details.get(sample);
    const at = row?.media_time ?? (sample === null ? undefined : session.timeline.times[sample]);
    const time = at === undefined ? "" : ` · ${clock(at)}`;
    setText(title, sample === null ? "No sample yet" : `Sample ${sample}${time}`);
    setText(newest, sample !== null && session.selected === null ? "newest" : "");
    // Of a sample that has not come yet the small picture is better than none.
    const small = sample === null ? null : (tuning.thumbs.get(sample) ?? null);
    void drawStill(canvas, detail ? detail.jpeg : small);
    setAttr(canvas, "aria-label", sample === null ? "" : `Picture of sample ${sample}`);
    setText(missing, detail?.message.missing ?? "");
    missing.hidden = missing.textContent === "";
    const whose = sample === null ? null : judged(tuning, sample);
    const cell = row?.cells.find(({ version }) => version === whose);
    const part = cell?.parts.find(({ name }) => name === field?.title);
    const answer = cell?.answered
      ? (part?.text ?? (cell.parts.length ? "" : cell.text || "(empty)"))
      : "was not asked about it";
    const verdict = part ? part.right : (cell?.right ?? null);
    fill(
      said,
      span({ class: "ov-label", text: `v${whose ?? ""} ` }),
      ...(cell?.parts.length && !part
        ? cell.parts.map(({ name, text }) =>
            span("ov-pair", `${name} `, span({ class: "ov-pair-value", text })),
          )
        : [span({ text: answer })]),
      verdict !== null &&
        span({ class: "ov-verdict", "data-right": String(verdict), text: verdict ? "✓" : "✗" }),
    );
    const known = row ? expectation(row, field?.name ?? null) : "";
    setText(now, known || "not labelled");
    now.classList.toggle("ov-label", !known);
    clear.hidden = !known;
    const live = session.connected && sample !== null;
    right.disabled = wrong.disabled = !live || !cell?.answered;
    typed.disabled = !live || field === undefined;
    typed.placeholder =
      field === undefined ? "Choose a field to type its value" : "Type what is expected, Enter";
    setAttr(typed, "aria-label", `Expected ${field?.title ?? "value"}`);
    const values = field?.choices.slice(0, 9) ?? [];
    choices.hidden = !values.length;
    if (values.join("\n") !== offered) {
      offered = values.join("\n");
      fill(
        choices,
        ...values.map((value, i) => {
          const choose = button("", () => pick(tuning, i + 1), "ov-button");
          choose.append(h("kbd", { text: String(i + 1) }), plain(value));
          return choose;
        }),
      );
    }
    const labels = row?.labels.find((label) => label.field === field?.name);
    values.forEach((value, i) => {
      setAttr(choices.children[i] as Element, "aria-pressed", String(labels?.expected === value));
    });
    back.hidden = !state?.undo;
    back.title = state?.undo ? `Take back: ${state.undo} (U)` : "";
  };
  tuning.on(["state", "samples", "cells", "thumbs"], render);
  session.on(["selected", "detail", "connection"], render, signal);
  render();
  return { el, write: () => typed.disabled || typed.focus() };
}

/** A button with a sign; its label is its accessible name and its tooltip. */
function signButton(sign: string, label: string, press: () => void): HTMLButtonElement {
  const made = button(sign, press, "ov-icon-button ov-tune-sign");
  made.title = label;
  setAttr(made, "aria-label", label);
  return made;
}
