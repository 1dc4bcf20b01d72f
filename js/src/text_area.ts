/** A text field of several lines that grows with its text and keeps its keys from the host. */

import { h } from "./dom";

export interface TextArea {
  el: HTMLTextAreaElement;
  /** Puts text in, where it is another. */
  show(text: string): void;
}

export function textArea(
  label: string,
  props: { class: string; rows: number; most: number; attrs: Record<string, string | boolean> },
  edit: (text: string) => void,
): TextArea {
  const el = h("textarea", {
    class: `ov-field ${props.class}`,
    attrs: { "aria-label": label, rows: props.rows, ...props.attrs },
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
    for (let at = -1; lines < props.most && (at = el.value.indexOf("\n", at + 1)) >= 0; ) lines += 1;
    const wrapped = Math.ceil(el.value.length / 50);
    el.rows = Math.min(props.most, Math.max(props.rows, lines, wrapped));
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
