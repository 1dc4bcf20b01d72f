/** The stream in one line: its state, what is watched, who answers, and the buttons that steer. */

import { div, fill, focused, focusOn, icon, iconButton, setAttr, setText, span } from "./dom";
import { currentSettings, currentState, currentStatus, isActive, onUnanswered } from "./in_force";
import type { Control, State } from "./messages";
import { control } from "./requests";
import type { Connection } from "./session";
import type { Part } from "./view";

/** Characters at the end of a source that stay when its middle has no room. */
const TAIL = 14;

/** Which buttons a state leaves; none while the kernel cannot be asked. */
export function allowed(
  state: State,
  connection: Connection,
): { toggle: boolean; stop: boolean; restart: boolean } {
  const live = connection === "live";
  return {
    toggle: live && (state === "running" || state === "paused"),
    stop: live && isActive(state),
    restart: live,
  };
}

/** Why it is in this state: the status without the state's own word. */
export function reason(state: State, status: string): string {
  return status.startsWith(`${state}: `) ? status.slice(state.length + 2) : "";
}

export const header: Part = (view) => {
  const { session, signal, root } = view;
  let busy = false;
  let unanswered = false;

  const press = async (action: Control["action"]) => {
    if (busy) return;
    busy = true;
    render();
    await control(view, action);
    busy = false;
    if (!signal.aborted) render();
  };
  const toggle = iconButton("pause", "Pause", () => {
    void press(currentState(session) === "paused" ? "resume" : "pause");
  });
  const stop = iconButton("stop", "Stop", () => void press("stop"));
  const restart = iconButton("restart", "Restart", () => void press("restart"));
  stop.title = "Stop: no more samples; the rows stay";
  restart.title = "Restart from the beginning; the rows stay";

  const dot = span("ov-dot");
  const word = span("ov-state");
  const why = span({ class: "ov-reason", dir: "auto" });
  const model = span({ class: "ov-model", dir: "auto" });
  const el = div(
    "ov-header",
    dot,
    word,
    source(session.model.get("source")),
    model,
    why,
    div("ov-controls", toggle, stop, restart),
  );

  const render = () => {
    const state = currentState(session);
    const status = currentStatus(session);
    const lost = unanswered && isActive(state);
    dot.dataset.state = lost ? "lost" : state;
    setText(word, lost ? `was ${state}` : state);
    word.title = status;
    // A failure's reason is the banner's to tell.
    setText(why, state === "failed" ? "" : reason(state, status));
    why.title = why.textContent;
    setText(model, currentSettings(session).model);
    model.title = `Model: ${model.textContent}`;

    const paused = state === "paused";
    const label = paused ? "Resume" : "Pause";
    if (toggle.title !== label) {
      toggle.title = label;
      setAttr(toggle, "aria-label", label);
      fill(toggle, icon(paused ? "play" : "pause"));
    }

    const may = allowed(state, session.connection);
    for (const [button, free] of [
      [toggle, may.toggle],
      [stop, may.stop],
      [restart, may.restart],
    ] as const) {
      // A request is short: a button that is waiting keeps the focus.
      setAttr(button, "aria-disabled", busy ? "true" : null);
      if (button.disabled === !free) continue;
      const leaves = !free && focused(root) === button;
      button.disabled = !free;
      if (leaves) focusOn(may.restart ? restart : root);
    }
  };
  session.on(["status", "connection"], render, signal);
  onUnanswered(view, (is) => {
    unanswered = is;
    render();
  });
  render();
  return el;
};

/** A name whose middle gives way: its end, a file's name, tells it from others. */
function source(text: string): HTMLElement {
  const letters = Array.from(text); // whole code points
  const cut = letters.length > 2 * TAIL ? letters.length - TAIL : letters.length;
  return span(
    { class: "ov-source", title: text, dir: "auto" },
    span({ text: letters.slice(0, cut).join("") }),
    span({ text: letters.slice(cut).join("") }),
  );
}
