/** Signs that say in form what colours only repeat. */

import { setAttr, setText, span } from "../dom";
import { trim } from "../format";
import type { Accuracy } from "./messages";

/** Right, wrong, or nothing where nobody knows. */
export function verdictMark(): { el: HTMLElement; show(right: boolean | null): void } {
  const el = span({ class: "ov-verdict", role: "img" });
  return {
    el,
    show(right) {
      el.hidden = right === null;
      setText(el, right ? "✓" : "✗");
      setAttr(el, "data-right", String(right));
      setAttr(el, "aria-label", right ? "right" : "wrong");
    },
  };
}

export const percent = (share: number) => `${trim(100 * share, 0)} %`;

/** "82 %, 66 to 92 % by 33 labels" */
export function inWords({ accuracy, low, high, n }: Accuracy): string {
  return `${percent(accuracy)} right, between ${percent(low)} and ${percent(high)}, ${n} judged`;
}

/** A share with its interval, as a bar. */
export function scoreBar(): { el: HTMLElement; show(score: Accuracy | null): void } {
  const band = span("ov-score-band");
  const at = span("ov-score-at");
  const bar = span({ class: "ov-score-bar", "aria-hidden": true }, band, at);
  const value = span("ov-score-value");
  const more = span("ov-label");
  const el = span("ov-score", bar, span({}, value, more));
  return {
    el,
    show(score) {
      el.title = score ? inWords(score) : "No label judges it yet";
      setAttr(bar, "data-none", score === null);
      setText(value, score ? percent(score.accuracy) : "–");
      setText(more, score ? `${percent(score.low).slice(0, -2)}–${percent(score.high)}` : "");
      band.style.left = percentOf(score?.low ?? 0);
      band.style.width = percentOf((score?.high ?? 0) - (score?.low ?? 0));
      at.style.left = percentOf(score?.accuracy ?? 0);
    },
  };
}

const percentOf = (share: number) => `${100 * share}%`;
