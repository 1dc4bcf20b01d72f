/** A sample's picture and answer, above the timeline where the pointer is. */

import { detailsOf, type SampleDetail } from "./detail_cache";
import { h, setText } from "./dom";
import { clock } from "./format";
import { FATE_WORDS } from "./samples";
import { drawStill } from "./still";
import type { View } from "./view";

/** Milliseconds that a pointer rests before the kernel is asked for a picture. */
const REST = 80;
/** Characters that can be seen at all in three lines. */
const LETTERS = 200;

export interface Popover {
  element: HTMLElement;
  /** Shows a sample; `x` is where it is in a parent of so many pixels' `width`. */
  show(sample: number, x: number, width: number): void;
  hide(): void;
}

export function popover({ session, signal }: View): Popover {
  const details = detailsOf(session);
  const canvas = h("canvas");
  const frame = h("div", { class: "ov-popover-frame" }, canvas);
  const name = h("span");
  const fate = h("span", { class: "ov-fate" });
  const text = h("div", { class: "ov-clamped", attrs: { dir: "auto" } });
  const element = h(
    "div",
    { class: "ov-popover", attrs: { hidden: true, "aria-hidden": "true" } },
    frame,
    h("div", { class: "ov-popover-head" }, name, fate),
    text,
  );
  let shown: number | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const render = (sample: number, detail: SampleDetail | undefined) => {
    const { timeline, welcome } = session;
    const code = timeline.fate(sample);
    const row = detail?.message.row ?? session.rows.ofSample(sample);
    setText(name, `${sample} · ${clock(timeline.times[sample] ?? 0)}`);
    setText(fate, FATE_WORDS[code]);
    fate.dataset.fate = code;
    const answer = row?.error ?? (row && (row.chips ? fields(row.chips) : row.text));
    setText(text, (answer ?? detail?.message.reason ?? "").slice(0, LETTERS));
    text.hidden = text.textContent === "";
    if (welcome && welcome.height > 0) {
      frame.style.aspectRatio = `${welcome.width} / ${welcome.height}`;
    }
    frame.hidden = detail !== undefined && detail.jpeg === null;
    void drawStill(canvas, detail?.jpeg ?? null);
  };
  const hide = () => {
    shown = null;
    element.hidden = true;
    clearTimeout(timer);
  };
  session.on(
    "detail",
    (detail) => {
      if (detail.message.sample === shown) render(shown, detail);
    },
    signal,
  );
  session.on(
    "ticks",
    (timeline) => {
      // What one looks at may be answered meanwhile.
      if (shown === null || timeline.fate(shown) === fate.dataset.fate) return;
      render(shown, details.get(shown));
      session.look(shown);
    },
    signal,
  );
  signal.addEventListener("abort", hide);
  return {
    element,
    hide,
    show(sample, x, width) {
      if (sample !== shown) {
        clearTimeout(timer);
        shown = sample;
        element.hidden = false;
        const known = details.get(sample);
        render(sample, known);
        if (known === undefined) timer = setTimeout(() => session.look(sample), REST);
      }
      const left = x - element.offsetWidth / 2;
      element.style.left = `${Math.max(0, Math.min(width - element.offsetWidth, left))}px`;
    },
  };
}

function fields(chips: [string, string][]): string {
  return chips.map(([name, value]) => `${name}: ${value}`).join(" · ");
}
