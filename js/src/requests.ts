/** Requests of a view to the kernel; what they fail with is told where the eye is. */

import type { Changes, Control, Problem } from "./messages";
import type { Outcome } from "./session";
import type { View } from "./view";

/** Pauses, resumes, stops or restarts; a failure goes to the banner. */
export async function control(view: View, action: Control["action"]): Promise<Outcome> {
  view.notices.put("control", null);
  const outcome = await view.session.control(action);
  if (!outcome.ok) view.notices.fail("control", outcome.problem);
  return outcome;
}

/**
 * Changes values. A refusal that a restart would cure becomes an offer of one in the banner, where
 * a failed restart is told too; any other refusal is for the caller to show beside its field.
 */
export async function update(view: View, changes: Changes, restart = false): Promise<Outcome> {
  view.notices.put("update", null);
  const outcome = await view.session.update(changes, restart);
  if (outcome.ok) return outcome;
  if (restart) {
    view.notices.fail("update", outcome.problem);
  } else if (outcome.restart) {
    view.notices.put("update", {
      level: "info",
      problem: outcome.problem,
      action: { label: "Restart with these values", run: () => void update(view, changes, true) },
      dismissable: true,
    });
  }
  return outcome;
}

/** A failure in one line. */
export function inWords({ message, advice }: Problem): string {
  return advice ? `${message.replace(/\.?$/, ".")} ${advice}` : message;
}
