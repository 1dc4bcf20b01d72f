/** Pausing and going on, for those parts that are not the header's buttons. */

import type { Session } from "./session";
import type { View } from "./view";

const busy = new WeakSet<Session>();

/** Pauses or resumes, whichever there is to do. False: neither. */
export function togglePlayback({ session, notices }: View): boolean {
  const state = session.status?.state;
  if (session.connection !== "live" || (state !== "running" && state !== "paused")) return false;
  if (busy.has(session)) return true;
  busy.add(session);
  void session.control(state === "running" ? "pause" : "resume").then((outcome) => {
    busy.delete(session);
    const failed = outcome.ok ? null : outcome.problem;
    notices.put(
      "control",
      failed && { level: "error", problem: failed, dismissable: true },
    );
  });
  return true;
}
