/** The output schema, checked while it is typed: its JSON here, the rest by the kernel. */

import { applyBar } from "./apply_bar";
import { button, div, span, uniqueId } from "./dom";
import { Draft } from "./draft";
import { plural } from "./format";
import { currentSettings } from "./in_force";
import { Later } from "./later";
import { inWords } from "./requests";
import { EXAMPLE, format, jsonProblem, sameJson, schemaFields } from "./schema_text";
import { textArea } from "./text_area";
import type { Outcome } from "./session";
import type { Part } from "./view";

/** Milliseconds without a key after which the kernel is asked. */
const PAUSE = 250;
const HINT = "Tab indents; Escape, then Tab, leaves";

export const schemaEditor: Part = (view) => {
  const { session, signal } = view;
  const draft = new Draft(format(currentSettings(session).output_schema ?? ""), sameJson);
  let problem: string | null = null;
  let fields = "";
  /** The kernel's word on the text as it is. */
  let verdict: Outcome | null = null;
  const pause = new Later(signal);
  /** Tab leaves instead of indenting: after Escape, and for who only passes through. */
  let leaving = true;
  const hint = span({ class: "ov-spoken", text: HINT, id: uniqueId() });

  const area = textArea(
    "Output schema",
    {
      class: "ov-field ov-schema",
      rows: 3,
      most: 7,
      dir: "ltr",
      spellcheck: "false",
      autocapitalize: "off",
      placeholder: "JSON schema; none: answers are plain text",
      title: HINT,
      "aria-describedby": hint.id,
    },
    (text) => {
      draft.edit(text);
      bar.edited();
      look();
      bar.render();
    },
  );
  area.el.addEventListener("keydown", (event) => {
    const { key, shiftKey, ctrlKey, metaKey, altKey } = event;
    if (key === "Tab" && !leaving && !(shiftKey || ctrlKey || metaKey || altKey)) {
      event.preventDefault();
      // The browser's own insertion can be undone; where there is none, the plain one.
      if (!document.execCommand?.("insertText", false, "  ")) {
        area.el.setRangeText("  ", area.el.selectionStart, area.el.selectionEnd, "end");
        area.el.dispatchEvent(new Event("input"));
      }
    }
    leaving = key === "Escape" || (leaving && (key === "Tab" || key === "Shift"));
  });
  area.el.addEventListener("focus", () => {
    leaving = true;
  });
  area.el.addEventListener("click", () => {
    leaving = false;
  });

  /** Reads the text, and has the kernel judge it once its author pauses. */
  const look = () => {
    const { text } = draft;
    const empty = text.trim() === "";
    pause.cancel();
    verdict = null;
    problem = empty ? null : jsonProblem(text);
    if (empty || problem) return;
    const names = schemaFields(text);
    fields = names.length
      ? `${plural(names.length, "field")}: ${names.join(", ")}`
      : "no named fields";
    if (!draft.edited) return; // in force, so the kernel took it
    pause.set(PAUSE, async () => {
      if (!session.connected) return;
      const outcome = await session.checkSchema(text);
      if (draft.text !== text || signal.aborted) return;
      verdict = outcome;
      bar.render();
    });
  };
  const show = (text: string) => {
    draft.edit(text);
    bar.edited();
    render();
    area.el.focus();
  };
  const tidy = button("Format", () => show(format(draft.text)), "ov-link");
  const example = button("Insert example", () => show(EXAMPLE), "ov-link");
  const bar = applyBar({
    view,
    area: area.el,
    draft,
    setting: "output_schema",
    noun: "schema",
    extra: [tidy, example],
    change: (text) => ({ output_schema: text.trim() === "" ? null : text }),
    changed: () => render(),
    describe: () => {
      const empty = draft.text.trim() === "";
      tidy.hidden = empty || problem !== null;
      example.hidden = !empty;
      const wrong = problem ?? (verdict?.ok === false ? inWords(verdict.problem) : "");
      if (wrong) return { text: wrong, error: true, may: false };
      if (draft.overtaken) return { text: "another schema is in force now", may: true };
      if (empty) return { text: draft.edited ? "no schema, not applied" : "", may: true };
      if (!draft.edited) return { text: `in force, ${fields}`, may: true };
      return { text: verdict ? `valid: ${fields}` : `checking… ${fields}`, may: true };
    },
  });

  const render = () => {
    area.show(draft.text);
    look();
    bar.render();
  };
  let seen = currentSettings(session).output_schema;
  const follow = () => {
    const { output_schema: schema } = currentSettings(session);
    if (schema !== seen) {
      seen = schema;
      if (!sameJson(schema ?? "", draft.inForce)) draft.follow(format(schema ?? ""));
      render();
    } else bar.render();
  };
  session.on("status", follow, signal);
  session.on("connection", bar.render, signal);
  render();
  return div(
    "ov-schema-editor",
    span({ class: "ov-label", text: "Output schema", "aria-hidden": true }),
    area.el,
    hint,
    bar.el,
  );
};
