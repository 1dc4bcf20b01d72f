/** A sample's picture and answer, above the timeline where the pointer is. */

import { div, h, setText, span } from "./dom";
import { clamp, clock } from "./format";
import { atEnd, Later } from "./later";
import { fateWord } from "./samples";
import type { SampleDetail } from "./session";
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
  const canvas = h("canvas");
  const frame = div("ov-popover-frame", canvas);
  const name = span();
  const fate = fateWord();
  const text = div({ class: "ov-clamped", dir: "auto" });
  const element = div(
    { class: "ov-popover", hidden: true, "aria-hidden": "true" },
    frame,
    div("ov-popover-head", name, fate.el),
    text,
  );
  let shown: number | null = null;
  const rest = new Later(signal);

  const render = (sample: number, detail: SampleDetail | undefined) => {
    const { timeline, welcome } = session;
    const row = detail?.message.row ?? session.rows.ofSample(sample);
    setText(name, `${sample} · ${clock(timeline.times[sample] ?? 0)}`);
    fate.show(timeline.fate(sample));
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
    rest.cancel();
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
      if (shown === null || timeline.fate(shown) === fate.el.dataset.fate) return;
      render(shown, session.details.get(shown));
      session.look(shown);
    },
    signal,
  );
  atEnd(signal, hide);
  return {
    element,
    hide,
    show(sample, x, width) {
      if (sample !== shown) {
        rest.cancel();
        shown = sample;
        element.hidden = false;
        const known = session.details.get(sample);
        render(sample, known);
        if (known === undefined) rest.set(REST, () => session.look(sample));
      }
      const left = x - element.offsetWidth / 2;
      element.style.left = `${clamp(left, 0, width - element.offsetWidth)}px`;
    },
  };
}

function fields(chips: [string, string][]): string {
  return chips.map(([name, value]) => `${name}: ${value}`).join(" · ");
}
