/** What the stream is asked to do: model, mode, numbers, schema; at once where it can be. */

import { button, div, h, setText, span, uniqueId } from "./dom";
import { changesLive, currentFigures, currentSettings } from "./in_force";
import type { Changes } from "./messages";
import { modelField } from "./model_field";
import { numberField, settingRow, type NumberField } from "./number_field";
import { rangeText } from "./ranges";
import { update } from "./requests";
import { schemaEditor } from "./schema_editor";
import {
  NUMBER_NAMES,
  NUMBERS,
  plan,
  rates,
  type EditName,
  type Edits,
  type NumberName,
} from "./settings_plan";
import type { Part } from "./view";

const label = (name: EditName) => (name in NUMBERS ? NUMBERS[name as NumberName].label : name);

export const settingsForm: Part = (view) => {
  const { session, signal } = view;
  /** In force, with what was carried out since the last status. */
  let settings = currentSettings(session);
  let edits: Edits = {};
  /** Edits that the kernel refused, and why: not sent again until they are entered again. */
  let refused: Partial<Record<EditName, string>> = {};
  let busy = false;

  const planned = () =>
    plan(edits, settings, session.limits, (setting) => changesLive(session, setting));
  const forget = (name: EditName) => {
    delete edits[name];
    delete refused[name];
  };
  /** What is in force as it was chosen or typed is no edit any more. */
  const settle = () => {
    for (const name of Object.keys(edits) as EditName[]) {
      if (String(settings[name] ?? "") === edits[name]) forget(name);
    }
  };
  const edit = (change: Edits) => {
    for (const name of Object.keys(change) as EditName[]) delete refused[name];
    Object.assign(edits, change);
    render();
  };
  const send = async (changes: Changes, restart: boolean) => {
    busy = true;
    render();
    const outcome = await update(view, changes, restart);
    busy = false;
    if (outcome.ok) settings = { ...settings, ...changes };
    return outcome;
  };

  /** Sends what a running stream takes; edits made meanwhile follow in a request of their own. */
  const commit = async (entered?: EditName): Promise<void> => {
    if (entered) delete refused[entered];
    settle();
    const all = Object.entries(planned().now).filter(([name]) => !refused[name as EditName]);
    const names = all.map(([name]) => name as EditName);
    if (!names.length || busy) return render();
    const sent = { ...edits };
    const outcome = await send(Object.fromEntries(all), false);
    if (signal.aborted) return;
    for (const name of names) {
      // What a restart would cure is offered by the banner.
      if (outcome.ok) {
        if (edits[name] === sent[name]) forget(name);
        if (name in fields) fields[name as NumberName].tick();
      } else refused[name] = outcome.restart ? "Needs a restart" : outcome.problem.message;
    }
    if (outcome.ok) view.announce(`${names.map(label).join(", ")} applied`);
    return commit();
  };
  const restart = async () => {
    const { later } = planned();
    const { ok } = await send(later, true);
    if (ok) edits = {};
    if (!signal.aborted) render();
  };

  const model = modelField(view, (name) => {
    edit({ model: name });
    void commit("model");
  });
  const group = uniqueId();
  const radios = (["frame", "clip"] as const).map((mode) => {
    const choose = () => {
      edit({ mode });
      void commit("mode");
    };
    return h("input", { type: "radio", name: group, value: mode, on: { change: choose } });
  });
  const modes = div(
    { class: "ov-segments", id: `${group}-s`, role: "radiogroup", "aria-label": "Mode" },
    ...radios.map((radio) => h("label", {}, radio, span({ text: radio.value }))),
  );
  const fields = {} as Record<NumberName, NumberField>;
  for (const name of NUMBER_NAMES) {
    const { label, step, mode } = NUMBERS[name];
    fields[name] = numberField({
      label,
      step,
      empty: mode ? "" : "server’s",
      edit: (text) => edit({ [name]: text }),
      commit: () => void commit(name),
      revert: () => {
        forget(name);
        render();
      },
    });
  }
  const rate = h("p", "ov-label ov-rates");
  const waiting = span({ class: "ov-line", role: "status" });
  const go = button("Restart", () => void restart(), "ov-button ov-primary");
  const discard = button("Discard", () => {
    edits = {};
    refused = {};
    render();
  });
  const pending = div("ov-apply ov-pending", waiting, discard, go);
  const form = h(
    "fieldset",
    {
      class: "ov-pane",
      "aria-label": "Settings",
      on: {
        // Keys typed into fields are not the notebook's commands.
        keydown: (event) => {
          if (!(event.target instanceof HTMLButtonElement)) event.stopPropagation();
        },
      },
    },
    model.row,
    settingRow(`${group}-s`, "Mode", [modes]),
    ...NUMBER_NAMES.map((name) => fields[name].row),
    rate,
    pending,
    schemaEditor(view),
  );

  const render = () => {
    const { limits, welcome, connected } = session;
    const plan = planned();
    const wrong = { ...plan.errors, ...refused };
    form.disabled = welcome === null;
    model.show(plan.model, wrong.model ?? "");
    for (const radio of radios) radio.checked = radio.value === plan.mode;
    for (const name of NUMBER_NAMES) {
      const text = plan.texts[name];
      const { unit } = NUMBERS[name];
      fields[name].row.hidden = text === undefined;
      const range = limits ? rangeText(limits[name], unit) : unit;
      fields[name].show(text ?? "", range, wrong[name] ?? "");
    }
    setText(rate, rates(plan, currentFigures(session)));
    const later = Object.keys(plan.later) as EditName[];
    pending.hidden = !later.length;
    const what = plan.later.mode ? `${plan.mode} mode` : later.map(label).join(", ").toLowerCase();
    setText(waiting, `Needs a restart, rows stay: ${what}`);
    go.disabled = busy || !connected || Object.keys(plan.errors).length > 0;
  };
  session.on(
    "status",
    (status) => {
      settings = status.settings;
      settle();
      render();
    },
    signal,
  );
  session.on(["welcome", "connection"], render, signal);
  render();
  return form;
};
