/** What holds now: by the kernel's last word or, before its first, by what the notebook kept. */

import { Later } from "./later";
import type { Figures, PromptVersion, Settings, State } from "./messages";
import type { Session } from "./session";
import type { View } from "./view";

/** Milliseconds without a welcome after which nobody is expected to answer. */
const UNANSWERED = 2500;

export function currentState({ status, model }: Session): State {
  return status?.state ?? model.get("state");
}

/** The state and its reason, in words. */
export function currentStatus({ status, model }: Session): string {
  return status?.status ?? model.get("status");
}

export function currentSettings({ status, model }: Session): Settings {
  return status?.settings ?? model.get("settings");
}

export function currentFigures({ status, model }: Session): Figures {
  return status?.figures ?? model.get("figures");
}

export function currentPrompt({
  prompts,
  model,
  status,
}: Session): Pick<PromptVersion, "version" | "text"> {
  const version = status?.prompt_version ?? model.get("prompt_version");
  // Not the newest: that may only have been tried.
  return prompts.find((one) => one.version === version) ?? { version, text: model.get("prompt") };
}

export function isActive(state: State): boolean {
  return state === "starting" || state === "running" || state === "paused";
}

/** Whether a running stream takes a new value of this setting at once. */
export function changesLive(session: Session, setting: string): boolean {
  return (
    isActive(currentState(session)) && (session.welcome?.live_changes.includes(setting) ?? false)
  );
}

/** Calls `listener` with whether the kernel has left this page's greeting unanswered. */
export function onUnanswered(
  { session, signal }: View,
  listener: (unanswered: boolean) => void,
): void {
  if (session.connection !== "waiting") return;
  const patience = new Later(signal);
  patience.set(UNANSWERED, () => listener(true));
  const heard = () => {
    patience.cancel();
    listener(false);
  };
  session.on("welcome", heard, signal);
}
