/** A labelled number with its allowed range beside it and its error under it. */

import { div, h, setAttr, setText, span, uniqueId } from "./dom";

export interface NumberField {
  row: HTMLElement;
  show(text: string, range: string, error: string): void;
  /** Says for a moment that the number is in force. */
  tick(): void;
}

export interface NumberActions {
  label: string;
  step: number;
  /** Said where it is empty. */
  empty: string;
  /** The number as typed; "?" where it cannot be read. */
  edit(text: string): void;
  commit(): void;
  revert(): void;
}

export function numberField(of: NumberActions): NumberField {
  const id = uniqueId();
  const hint = `${id}-hint`;
  const range = span({ class: "ov-label", id: hint });
  const error = span({ class: "ov-wrong", id: `${id}-error`, role: "status" });
  const done = span({ class: "ov-done", text: "✓ applied", "aria-hidden": "true" });
  /** Half a number is not yet wrong; one that is being corrected is, until it is right. */
  let typing = false;
  const commit = () => {
    typing = false;
    of.commit();
  };
  const input = h("input", {
    class: "ov-field ov-number",
    id,
    type: "number",
    step: of.step,
    min: 0,
    placeholder: of.empty,
    "aria-describedby": `${hint} ${id}-error`,
    on: {
      // A field that cannot be read has no value: told apart from an empty one.
      input: () => {
        typing ||= !error.textContent;
        of.edit(input.validity.badInput ? "?" : input.value);
      },
      change: commit,
      // The wheel scrolls the notebook; it does not turn the number under it.
      wheel: () => input.blur(),
      keydown: ({ key }) => {
        if (key === "Enter") commit();
        if (key === "Escape") of.revert();
      },
    },
  });
  return {
    row: settingRow(id, of.label, [input, range, done], error),
    show: (text, allowed, wrong) => {
      if (input.value !== text && text !== "?") input.value = text;
      setText(range, allowed);
      setText(error, typing ? "" : wrong);
      setAttr(input, "aria-invalid", error.textContent ? "true" : null);
    },
    tick: () => {
      done.classList.remove("ov-shown");
      requestAnimationFrame(() => done.classList.add("ov-shown")); // the animation begins anew
    },
  };
}

/** A line of the form: a label, what it names, and under it what is wrong. */
export function settingRow(
  id: string,
  label: string,
  value: HTMLElement[],
  error: HTMLElement | null = null,
): HTMLElement {
  return div(
    "ov-setting",
    h("label", { class: "ov-label", text: label, for: id }),
    div("ov-value", ...value),
    error,
  );
}
