/**
 * Applying an edited text: the line that says where it stands, Revert, Apply, and the shortcut.
 * Where the running stream cannot take it, or is over, Apply becomes a restart with it.
 */

import type { Draft } from "./draft";
import { button, div, setAttr, setText, span, uniqueId } from "./dom";
import { changesLive } from "./in_force";
import type { Changes } from "./messages";
import { inWords, update } from "./requests";
import type { View } from "./view";

export interface Applied {
  view: View;
  /** Where the text is edited. */
  area: HTMLTextAreaElement;
  draft: Draft;
  setting: "prompt" | "output_schema";
  noun: string;
  change(text: string): Changes;
  /** Where the text stands, in words, while no request is under way; `may`: it can be applied. */
  describe(): { text: string; error?: boolean; may: boolean };
  /** The draft changed by a button of the bar. */
  changed(): void;
  /** Buttons of its own, left of Revert. */
  extra?: HTMLElement[];
}

export interface ApplyBar {
  el: HTMLElement;
  render(): void;
  /** Forgets what the last request was refused with: the text is another. */
  edited(): void;
  /** Applies the draft, or another text, and what else comes with it. */
  apply(text?: string, changes?: Changes): Promise<void>;
  needsRestart(): boolean;
}

const MAC = /Mac|iPhone|iPad/.test(navigator.platform);
/** The keys that apply, in words. */
export const SHORTCUT = MAC ? "⌘⏎" : "Ctrl+Enter";

export function applyBar(of: Applied): ApplyBar {
  const { view, area, draft } = of;
  const { session, signal } = view;
  let busy = false;
  let refused = "";

  const id = uniqueId();
  const line = span({ class: "ov-line", id, role: "status", dir: "auto" });
  const revert = button("Revert", () => {
    draft.revert();
    refused = "";
    of.changed();
    area.focus();
  });
  const apply = button("Apply", () => void bar.apply());
  apply.title = `Apply (${SHORTCUT})`;
  const described = area.getAttribute("aria-describedby") ?? "";
  setAttr(area, "aria-describedby", `${id} ${described}`.trim());
  area.addEventListener("keydown", (event) => {
    event.stopPropagation(); // Jupyter would run the cell
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    if (!apply.disabled) void bar.apply();
  });

  const bar: ApplyBar = {
    el: div("ov-apply", line, div("ov-value", ...(of.extra ?? []), revert, apply)),
    needsRestart: () => !changesLive(session, of.setting),
    edited: () => {
      refused = "";
    },
    render: () => {
      const { text, error, may } = of.describe();
      const live = session.connected;
      setText(line, busy ? "applying…" : refused || text);
      line.classList.toggle("ov-wrong", !busy && (refused !== "" || error === true));
      const restart = live && draft.edited && bar.needsRestart();
      setText(apply, restart ? `Restart with this ${of.noun}` : "Apply");
      apply.disabled = !(live && may && draft.edited) || busy;
      apply.classList.toggle("ov-primary", !apply.disabled);
      revert.hidden = !draft.edited || busy;
    },
    apply: async (text = draft.text, changes = of.change(text)) => {
      if (busy || !session.connected) return;
      busy = true;
      refused = "";
      bar.render();
      const outcome = await update(view, changes, bar.needsRestart());
      busy = false;
      if (signal.aborted) return;
      if (outcome.ok) {
        draft.follow(text);
        draft.overtaken = false;
        view.announce(`The ${of.noun} was applied`);
      } else {
        refused = inWords(outcome.problem);
      }
      of.changed();
    },
  };
  return bar;
}
