/** The Tune tab. Its module comes from the kernel when it is first opened, and is never saved. */

import { div, h, setAttr, setText } from "./dom";
import type { Problem } from "./messages";
import { inWords } from "./requests";
import type { Session } from "./session";
import type { Tab } from "./tabs";
import type { View } from "./view";

/** Fills the tab, and the place of the results; returns what is told whether it is shown. */
export type FillTune = (
  view: View,
  body: HTMLElement,
  below: HTMLElement,
) => (shown: boolean) => void;

/** The module, as the kernel has it. Rejects with a `Problem`. */
async function load(session: Session): Promise<FillTune> {
  const heard = new AbortController();
  let script: DataView[] = [];
  session.on(
    "tuned",
    ({ message, buffers }) => {
      if (message.kind === "script") script = buffers;
    },
    heard.signal,
  );
  const outcome = await session.tune({ kind: "want_script" });
  heard.abort();
  if (!outcome.ok) throw outcome.problem;
  const url = URL.createObjectURL(new Blob(script as BlobPart[], { type: "text/javascript" }));
  const module = import(/* webpackIgnore: true */ /* @vite-ignore */ url);
  return ((await module.finally(() => URL.revokeObjectURL(url))) as { default: FillTune }).default;
}

export function tuneTab(view: View, below: HTMLElement, get = load): Tab {
  const { session, signal, root } = view;
  const note = h("p", { class: "ov-label", role: "status" });
  const body = div("ov-pane", note);
  let show: ((shown: boolean) => void) | undefined;
  let open = false;

  const render = async () => {
    if (open && !show) {
      setText(note, session.connected ? "Loading…" : "Tuning needs the kernel.");
      if (!session.connected) return;
      try {
        const fillTune = await get(session);
        if (signal.aborted) return;
        note.remove();
        show ??= fillTune(view, body, below);
      } catch (problem) {
        setText(note, inWords(problem as Problem));
      }
    }
    setAttr(root, "data-tune", open && !!show);
    show?.(open);
  };
  session.on("welcome", () => void render(), signal);
  return {
    name: "Tune",
    body,
    shown: (shown) => {
      open = shown;
      void render();
    },
  };
}
