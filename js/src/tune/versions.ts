/** The versions of the prompt with their live scores: which is looked at, and beside which. */

import { button, div, fill, focused, h, setAttr, setText, span } from "../dom";
import { count } from "../format";
import { firstLine } from "../prompt_versions";
import { scoreBar } from "./marks";
import type { TunedVersion } from "./messages";
import type { Tuning } from "./tuning";

const HEADS = ["Version", "Prompt", "Answers", "Right", "Beside"];

export function versionTable(tuning: Tuning): HTMLElement {
  const { session } = tuning.view;
  const body = h("tbody");
  const lines = new Map<number, ReturnType<typeof line>>();

  const render = () => {
    const { state } = tuning;
    if (state === null) return;
    const kept = focused(body);
    const wanted = state.versions.map((version) => {
      const known = lines.get(version.version) ?? line(tuning, version.version);
      lines.set(version.version, known);
      known.show(version);
      return known.el;
    });
    if (wanted.length !== body.children.length || wanted.some((el, i) => body.children[i] !== el)) {
      fill(body, ...wanted);
      if (kept instanceof HTMLElement && body.contains(kept)) kept.focus({ preventScroll: true });
    }
  };
  tuning.on("state", render);
  session.on("prompts", render, tuning.view.signal);
  render();
  return div(
    { class: "ov-tune-versions", tabindex: -1 },
    h(
      "table",
      { "aria-label": "Versions of the prompt" },
      h("thead", {}, h("tr", {}, ...HEADS.map((text) => h("th", { text, scope: "col" })))),
      body,
    ),
  );
}

function line(tuning: Tuning, number: number) {
  const { session } = tuning.view;
  const name = span();
  const best = span({ class: "ov-best", text: "★", role: "img", "aria-label": "best so far" });
  best.title = "No version is better so far";
  const choose = h(
    "button",
    {
      type: "button",
      class: "ov-tune-choose",
      on: { click: () => void tuning.choose({ version: number }) },
    },
    name,
    best,
  );
  const text = span({ class: "ov-tune-text", dir: "auto" });
  const note = h("small");
  const answers = h("td");
  const score = scoreBar();
  const beside = button("vs", () => void tuning.choose({ baseline: number }), "ov-tune-beside");
  setAttr(beside, "aria-label", `Compare with v${number}`);
  const el = h(
    "tr",
    // All of the line chooses, for a mouse; its button does for keys.
    {
      on: { click: ({ target }) => (target as Element).closest("button") ?? choose.click() },
    },
    h("th", { scope: "row" }, choose),
    h("td", "ov-tune-prompt", text, note),
    answers,
    h("td", {}, score.el),
    h("td", {}, beside),
  );
  return {
    el,
    show(version: TunedVersion) {
      const { state } = tuning;
      const prompt = session.prompts.find((one) => one.version === number);
      const chosen = state?.version === number;
      setText(name, `v${number}`);
      best.hidden = !version.best;
      setText(text, firstLine(prompt?.text ?? ""));
      text.title = prompt?.text.slice(0, 2000) ?? "";
      const { parent, temperature } = version;
      const notes = [
        version.in_force ? "in force" : "",
        version.note,
        prompt?.model,
        temperature === null ? "" : `temperature ${temperature}`,
        parent === null ? "" : `from v${parent}`,
      ];
      setText(note, notes.filter(Boolean).join(" · "));
      note.title = note.textContent ?? "";
      setText(answers, count(version.answers));
      score.show(version.score);
      setAttr(el, "data-chosen", chosen);
      setAttr(choose, "aria-pressed", String(chosen));
      setAttr(choose, "aria-label", `v${number}${version.best ? ", best so far" : ""}`);
      setAttr(beside, "aria-pressed", String(state?.baseline === number));
      beside.disabled = chosen;
    },
  };
}
