/** What stands over the video, in words: why there is no picture, or why it does not move. */

import type { State } from "./messages";
import type { Connection } from "./session";

export interface StageNote {
  /** none: nothing. empty: instead of a picture. Others: over the last one. */
  veil: "none" | "empty" | "paused" | "over" | "lost";
  text: string;
}

const OVER: Partial<Record<State, string>> = {
  ended: "Ended",
  failed: "Failed",
  closed: "Stopped",
};

/** `patient`: the kernel may still be about to answer for the first time. */
export function stageNote(
  connection: Connection,
  state: State,
  pictured: boolean,
  patient: boolean,
): StageNote {
  if (connection === "waiting") {
    return {
      veil: "empty",
      text: patient
        ? "Connecting to the kernel"
        : "No live picture: the kernel of this stream does not answer",
    };
  }
  const over = OVER[state];
  if (!pictured) {
    const text =
      over !== undefined
        ? `${over}: there is no picture to show`
        : connection === "silent"
          ? "No word from the kernel"
          : state === "paused"
            ? "Paused before the first picture"
            : "Waiting for the first picture";
    return { veil: "empty", text };
  }
  if (over !== undefined) return { veil: "over", text: over };
  if (connection === "silent") return { veil: "lost", text: "No word from the kernel" };
  if (state === "paused") return { veil: "paused", text: "Paused" };
  return { veil: "none", text: "" };
}
