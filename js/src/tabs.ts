/** Tabs by the ARIA pattern: arrow keys move between them, only the chosen one takes focus. */

import { h } from "./dom";

export interface Tab {
  name: string;
  body: HTMLElement;
}

export function tabs(label: string, all: Tab[]): HTMLElement {
  const id = `ov-tabs-${Math.random().toString(36).slice(2, 8)}`;
  const buttons = all.map(({ name }, i) =>
    h("button", {
      class: "ov-tab",
      text: name,
      type: "button", role: "tab", id: `${id}-tab-${i}`, "aria-controls": `${id}-${i}`,
      on: { click: () => choose(i) },
    }),
  );
  const panels = all.map(({ body }, i) =>
    h(
      "div",
      {
        class: "ov-tab-panel",
        role: "tabpanel", id: `${id}-${i}`, "aria-labelledby": `${id}-tab-${i}`,
      },
      body,
    ),
  );
  const choose = (chosen: number) => {
    buttons.forEach((button, i) => {
      button.setAttribute("aria-selected", String(i === chosen));
      button.tabIndex = i === chosen ? 0 : -1;
    });
    panels.forEach((panel, i) => {
      panel.hidden = i !== chosen;
    });
  };
  const list = h("div", {
    class: "ov-tab-list",
    role: "tablist", "aria-label": label,
    on: {
      keydown: (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        const now = buttons.findIndex((button) => button.tabIndex === 0);
        if (step === undefined) return;
        const next = (now + step + all.length) % all.length;
        choose(next);
        buttons[next]?.focus();
        event.preventDefault();
        event.stopPropagation();
      },
    },
  });
  list.append(...buttons);
  choose(0);
  return h("div", "ov-tabs", list, ...panels);
}
