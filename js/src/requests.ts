/** Requests of a view to the kernel; what they fail with is told where the eye is. */

import type { Changes, Control, Problem } from "./messages";
import type { Outcome, Session } from "./session";
import type { View } from "./view";

const busy = new WeakSet<Session>();

/** Pauses, resumes, stops or restarts, one at a time; a failure goes to the banner. */
export async function control(
  { session, notices }: View,
  action: Control["action"],
): Promise<void> {
  if (busy.has(session)) return;
  busy.add(session);
  notices.put("control", null);
  const outcome = await session.control(action);
  busy.delete(session);
  if (!outcome.ok) notices.fail("control", outcome.problem);
}

/** Pauses or resumes, whichever there is to do. False: neither. */
export function togglePlayback(view: View): boolean {
  const { connected, status } = view.session;
  const action = { running: "pause", paused: "resume" } as const;
  const due = action[status?.state as keyof typeof action];
  if (!connected || due === undefined) return false;
  void control(view, due);
  return true;
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
