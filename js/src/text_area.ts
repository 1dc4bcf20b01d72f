/** A text field of several lines that grows with its text and keeps its keys from the host. */

import { h } from "./dom";

/** Characters from which on `dir="auto"` holds up each key: browsers read them all. */
const LONG = 5000;
const LETTER = /\p{L}/u;
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]/;

/** What `dir` a text is shown with: by its first letter, as the browser would. */
export function direction(text: string): "auto" | "ltr" | "rtl" {
  if (text.length < LONG) return "auto";
  return RIGHT_TO_LEFT.test(LETTER.exec(text)?.[0] ?? "") ? "rtl" : "ltr";
}

export interface TextArea {
  el: HTMLTextAreaElement;
  /** Puts text in, where it is another. */
  show(text: string): void;
}

export function textArea(
  label: string,
  /** It has `rows` lines at least and `most` at most. */
  { rows, most, ...attributes }: { rows: number; most: number } & Record<string, string | number>,
  edit: (text: string) => void,
): TextArea {
  const el = h("textarea", {
    "aria-label": label,
    rows,
    ...attributes,
    on: {
      input: () => {
        grow();
        edit(el.value);
      },
    },
  });
  // Counted, not measured: a field that is made small to be measured moves the page.
  const grow = () => {
    let lines = 1;
    for (let at = -1; lines < most; lines += 1) {
      at = el.value.indexOf("\n", at + 1);
      if (at < 0) break;
    }
    if (attributes.dir === "auto" && el.dir !== direction(el.value)) el.dir = direction(el.value);
    const wrapped = Math.ceil(el.value.length / 50);
    el.rows = Math.min(most, Math.max(rows, lines, wrapped));
  };
  return {
    el,
    show: (text) => {
      if (el.value === text) return;
      el.value = text;
      grow();
    },
  };
}
