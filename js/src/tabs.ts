/** Tabs by the ARIA pattern: arrow keys move between them, only the chosen one takes focus. */

import { button, div, setAttr, taken, uniqueId } from "./dom";

export interface Tab {
  name: string;
  body: HTMLElement;
  /** It is chosen, or no longer. */
  shown?: (shown: boolean) => void;
}

export function tabs(label: string, all: Tab[]): HTMLElement {
  const parts = all.map(({ name, body, shown }, i) => {
    const tab = button(name, () => choose(i), "ov-tab");
    const panel = div({ role: "tabpanel", id: uniqueId() }, body);
    setAttr(tab, "role", "tab");
    tab.id = uniqueId();
    setAttr(tab, "aria-controls", panel.id);
    setAttr(panel, "aria-labelledby", tab.id);
    return { tab, panel, shown };
  });
  let chosen = 0;
  const choose = (next: number) => {
    chosen = next;
    parts.forEach(({ tab, panel, shown }, i) => {
      const now = i === next;
      setAttr(tab, "aria-selected", String(now));
      tab.tabIndex = now ? 0 : -1;
      panel.hidden = !now;
      shown?.(now);
    });
  };
  const list = div(
    {
      class: "ov-tab-list",
      role: "tablist",
      "aria-label": label,
      on: {
        keydown: (event) => {
          const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
          if (step === undefined) return;
          choose((chosen + step + all.length) % all.length);
          parts[chosen]?.tab.focus();
          taken(event);
        },
      },
    },
    ...parts.map(({ tab }) => tab),
  );
  choose(0);
  return div("ov-tabs", list, ...parts.map(({ panel }) => panel));
}
