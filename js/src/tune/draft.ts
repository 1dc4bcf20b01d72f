/** The next version, while it is written; tried on samples that were taken already. */

import { SHORTCUT } from "../apply_bar";
import { button, div, fill, h, setAttr, setText, span, uniqueId } from "../dom";
import { plural } from "../format";
import { settingRow } from "../number_field";
import { inWords } from "../requests";
import { EXAMPLE, format, sameJson } from "../schema_text";
import { textArea } from "../text_area";
import { backfillList } from "./backfills";
import type { Tuning } from "./tuning";

interface Asked {
  text: string;
  model: string;
  schema: string;
  temperature: string;
}
const LAST = 40;

export function draftEditor(tuning: Tuning): HTMLElement {
  const { view } = tuning;
  const { session, signal } = view;
  /** The version that the draft was made from, as it was then. */
  let base: Asked = { text: "", model: "", schema: "", temperature: "" };
  let draft: Asked = base;
  let from = 0;
  let busy = false;
  let refused = "";

  const edited = () =>
    draft.text !== base.text ||
    draft.model !== base.model ||
    draft.temperature.trim() !== base.temperature ||
    !sameJson(draft.schema, base.schema);
  const edit = (change: Partial<Asked>) => {
    draft = { ...draft, ...change };
    refused = "";
    render();
  };
  const prompt = textArea(
    "Draft of the prompt",
    { class: "ov-field ov-prompt-text", rows: 3, most: 8, dir: "auto" },
    (text) => edit({ text }),
  );
  // Suggested, not prescribed: some servers list no models.
  const models = h("datalist", { id: uniqueId() });
  const model = h("input", {
    class: "ov-field",
    id: uniqueId(),
    list: models.id,
    spellcheck: "false",
    on: {
      focus: () => session.models.length || session.wantModels(),
      input: () => edit({ model: model.value }),
    },
  });
  const schema = textArea(
    "Schema of the draft",
    {
      class: "ov-field ov-schema",
      rows: 2,
      most: 8,
      dir: "ltr",
      spellcheck: "false",
      autocapitalize: "off",
      placeholder: "JSON schema; none: answers are plain text",
    },
    (text) => edit({ schema: text }),
  );
  const example = button("Insert example", () => edit({ schema: EXAMPLE }), "ov-link");
  const temperature = h("input", {
    class: "ov-field ov-number",
    id: uniqueId(),
    inputmode: "decimal",
    placeholder: "server’s",
    on: { input: () => edit({ temperature: temperature.value }) },
  });
  const note = h("input", {
    class: "ov-field",
    id: uniqueId(),
    placeholder: "what it is for",
    dir: "auto",
  });
  const more = h(
    "details",
    { class: "ov-tune-more" },
    h("summary", { text: "Model, schema, temperature, note" }),
    div(
      "ov-tune-settings",
      settingRow(model.id, "Model", [model, models]),
      settingRow(temperature.id, "Temperature", [temperature]),
      settingRow(note.id, "Note", [note]),
      schema.el,
      example,
    ),
  );
  const line = span({ class: "ov-line", role: "status", dir: "auto" });
  const revert = button("Revert", () => {
    draft = base;
    refused = "";
    follow();
    render();
    prompt.el.focus();
  });
  const last = h("input", {
    class: "ov-field ov-number",
    type: "number",
    min: 1,
    value: LAST,
    "aria-label": "How many of the last samples",
    on: { input: () => render() },
  });
  const whole = button("×", () => void tuning.choose({ first: null, last: null }), "ov-link");
  setAttr(whole, "aria-label", "Forget the chosen stretch");
  const one = button("only the selected", () => {
    const { selected } = session;
    if (selected !== null) void tuning.choose({ first: selected, last: selected });
  }, "ov-link");
  const stretch = span("ov-label");
  const go = button("Try", () => void attempt(), "ov-button");
  go.title = `Ask this about them (${SHORTCUT})`;

  const attempt = async () => {
    if (go.disabled) return;
    busy = true;
    refused = "";
    render();
    const { chosen } = tuning.state ?? {};
    const known = session.prompts.find(({ version }) => version === from);
    const asked = draft; // one may type on meanwhile
    const warm = asked.temperature.trim();
    const outcome = await session.tune({
      kind: "try",
      prompt: asked.text,
      model: asked.model,
      output_schema: asked.schema.trim() || null,
      max_output_tokens: known?.max_output_tokens ?? null,
      temperature: warm === "" ? null : Number(warm),
      note: note.value,
      last: chosen?.first == null ? Number(last.value) : null,
    });
    busy = false;
    if (signal.aborted) return;
    if (outcome.ok) {
      note.value = "";
      // It is a version now, and will be the chosen one: the draft goes on from there.
      base = asked;
      from = tuning.state?.version ?? 0;
    } else refused = inWords(outcome.problem);
    render();
  };
  const keys = (event: KeyboardEvent) => {
    if (event.target instanceof HTMLButtonElement) return;
    event.stopPropagation(); // Jupyter would run the cell
    const area = event.target instanceof HTMLTextAreaElement;
    const submits = event.ctrlKey || event.metaKey || (event.target === last && !area);
    if (event.key !== "Enter" || !submits || event.isComposing) return;
    event.preventDefault();
    void attempt();
  };

  const follow = () => {
    const { state } = tuning;
    const version = session.prompts.find((one) => one.version === state?.version);
    const first = from === 0;
    if (!state || !version || version.version === from || (edited() && !first)) return;
    // What was typed before it was known what is asked now stays.
    const typed = Object.entries(draft).filter(([, value]) => first && value !== "");
    from = version.version;
    const warm = tuning.version(from)?.temperature ?? null;
    base = {
      text: version.text,
      model: version.model,
      schema: format(version.output_schema ?? ""),
      temperature: warm === null ? "" : String(warm),
    };
    draft = { ...base, ...Object.fromEntries(typed) };
    refused = "";
    render();
  };
  const wrong = (): string => {
    if (draft.text.trim() === "") return "A prompt is needed";
    if (draft.model.trim() === "") return "A model is needed";
    if (!isJson(draft.schema)) return "The schema is not JSON yet";
    if (Number.isNaN(Number(draft.temperature))) return "The temperature is a number, 0 to 2";
    return "";
  };
  const render = () => {
    const { state } = tuning;
    const { chosen } = state ?? {};
    prompt.show(draft.text);
    schema.show(draft.schema);
    if (model.value !== draft.model) model.value = draft.model;
    example.hidden = draft.schema.trim() !== "";
    if (temperature.value !== draft.temperature) temperature.value = draft.temperature;
    const problem = refused || wrong();
    const kind = edited() ? `draft, from v${from}` : `unchanged: asks what v${from} asks`;
    setText(line, busy ? "asking…" : problem || kind);
    line.classList.toggle("ov-wrong", !busy && problem !== "");
    revert.hidden = !edited() || busy;
    const { first = null, last: end = null } = chosen ?? {};
    const ranged = first !== null && end !== null;
    last.hidden = ranged;
    whole.hidden = !ranged;
    one.hidden = ranged || session.selected === null;
    setText(
      stretch,
      !ranged
        ? "samples"
        : first === end
          ? `sample ${first}`
          : `samples ${first} to ${end} (${plural(end - first + 1, "sample")})`,
    );
    setText(go, ranged ? "Try on" : "Try on last");
    const may = Number(last.value) >= 1 || ranged;
    go.disabled = busy || wrong() !== "" || !session.connected || state === null || !may;
    go.classList.toggle("ov-primary", !go.disabled);
  };
  tuning.on("state", () => {
    follow();
    render();
  });
  session.on("prompts", follow, signal);
  const list = () => {
    const options = session.models.map((one) => h("option", { value: one.model, text: one.status }));
    fill(models, ...options);
  };
  session.on("models", list, signal);
  list();
  session.on(["connection", "selected"], render, signal);
  render();
  return h(
    "fieldset",
    { class: "ov-tune-draft", "aria-label": "Draft", on: { keydown: keys } },
    prompt.el,
    div("ov-tune-try", go, last, stretch, one, whole),
    div("ov-apply", line, revert),
    backfillList(tuning),
    more,
  );
}

function isJson(text: string): boolean {
  if (text.trim() === "") return true;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
