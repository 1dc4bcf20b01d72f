/** What must be known now, between header and picture: failures, offers, a silent kernel. */

import { button, div, focused, focusOn, h, icon, iconButton, span } from "./dom";
import { currentState, currentStatus, isActive, onUnanswered } from "./in_force";
import type { Problem } from "./messages";
import type { Notice } from "./notices";
import type { Part, View } from "./view";

/** Characters of a message that are shown. */
const LONGEST = 1500;
const ANEW = "Run the cell again to start it anew.";

export const banner: Part = (view) => {
  const { notices, signal, root } = view;
  // Both are there from the start: a screen reader tells what is added to them.
  const alerts = div({ role: "alert" });
  const notes = div({ role: "status" });
  const shown = new Map<string, { notice: Notice; line: HTMLElement }>();

  const render = () => {
    for (const [about, { notice, line }] of shown) {
      if (notices.all.get(about) === notice) continue;
      if (line.contains(focused(root))) focusOn(root);
      line.remove();
      shown.delete(about);
    }
    for (const [about, notice] of notices.all) {
      if (shown.has(about)) continue;
      const line = lineOf(notice, () => notices.put(about, null));
      shown.set(about, { notice, line });
      (notice.level === "error" ? alerts : notes).append(line);
    }
  };
  notices.onChange(render, signal);
  watchStream(view);
  watchConnection(view);
  render();
  return div("ov-banner", alerts, notes);
};

/** The stream's own problem, for as long as it has it. */
function watchStream({ session, signal, notices }: View): void {
  let shown = "";
  const look = () => {
    const problem = session.status ? session.status.problem : keptProblem();
    const key = problem ? `${problem.message}\n${problem.advice}` : "";
    if (key === shown) return;
    shown = key;
    notices.put("stream", problem && { level: "error", problem, dismissable: false });
  };
  // A reopened notebook holds only the words of a failure.
  const keptProblem = (): Problem | null =>
    currentState(session) !== "failed"
      ? null
      : {
          message: currentStatus(session).replace(/^failed: /, ""),
          advice: ANEW,
        };
  session.on("status", look, signal);
  session.on("refused", (problem) => notices.fail("refused", problem), signal);
  look();
}

/** A kernel that does not answer. */
function watchConnection(view: View): void {
  const { session, signal, notices } = view;
  const tell = (is: boolean, message: string, advice: string) => {
    const problem = { message, advice };
    notices.put("connection", is ? { level: "info", problem, dismissable: false } : null);
  };
  onUnanswered(view, (unanswered) =>
    tell(
      unanswered && isActive(currentState(session)),
      "The kernel that ran this stream does not answer.",
      ANEW,
    ),
  );
  session.on(
    "connection",
    (connection) =>
      tell(
        connection === "silent",
        "No word from the kernel: it may be busy, or gone.",
        "Rows below are what came.",
      ),
    signal,
  );
}

function lineOf({ level, problem, action, dismissable }: Notice, done: () => void): HTMLElement {
  return div(
    { class: "ov-notice", "data-level": level },
    level === "error" && icon("warning"),
    div(
      { class: "ov-notice-text", dir: "auto" },
      h("strong", { text: problem.message.slice(0, LONGEST) }),
      problem.advice && " ",
      problem.advice && span({ text: problem.advice.slice(0, LONGEST) }),
    ),
    action &&
      button(action.label, () => {
        done();
        action.run();
      }),
    dismissable && iconButton("close", "Dismiss", done),
  );
}
