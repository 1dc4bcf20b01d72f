/** The model: chosen from the server's list with its status, or named where there is none. */

import { fill, h, iconButton, setText, span, uniqueId } from "./dom";
import { watched } from "./later";
import { settingRow } from "./number_field";
import type { View } from "./view";

export interface ModelField {
  row: HTMLElement;
  show(model: string, error: string): void;
}

export function modelField(view: View, choose: (model: string) => void): ModelField {
  const { session, signal } = view;
  const id = uniqueId();
  let shown = "";
  let wanted = false;
  let failure = "";

  const ask = () => {
    wanted = session.connected;
    if (wanted) session.wantModels();
  };
  const askOnce = () => wanted || ask();
  const select = h("select", {
    class: "ov-field",
    id,
    on: { focus: askOnce, change: () => choose(select.value) },
  });
  const name = h("input", {
    class: "ov-field",
    "aria-label": "Name of the model",
    spellcheck: "false",
    on: {
      change: () => choose(name.value),
      keydown: ({ key }) => {
        if (key === "Enter") choose(name.value);
      },
    },
  });
  const error = span({ class: "ov-wrong", role: "status" });

  const render = () => {
    const { models } = session;
    fill(
      select,
      !models.some(({ model }) => model === shown) && h("option", { text: shown }),
      ...models.map(({ model, status }) =>
        h("option", { text: `${model} · ${status}`, value: model }),
      ),
    );
    select.value = shown;
    name.hidden = !failure;
    select.hidden = !name.hidden;
  };
  session.on(
    "models",
    ({ models, error: problem }) => {
      failure = problem ?? (models.length ? "" : "The server lists no models: name one.");
      setText(error, failure);
      render();
    },
    signal,
  );
  // Asked for when it is first looked at: the list costs a request to the server.
  const observer = new IntersectionObserver((seen) => {
    if (seen.some(({ isIntersecting }) => isIntersecting)) askOnce();
  });
  watched(select, observer, signal);
  return {
    row: settingRow(
      id,
      "Model",
      [select, name, iconButton("restart", "Refresh the list of models", ask)],
      error,
    ),
    show: (model, wrong) => {
      setText(error, wrong || failure);
      if (model === shown) return;
      shown = name.value = model;
      render();
    },
  };
}
