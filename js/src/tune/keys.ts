/** Keys of the Tune tab, wherever the focus is in the widget but for where one writes or chooses. */

import { modified, taken } from "../dom";
import { end, mark, pick, step, undo } from "./labels";
import { stepSample } from "../samples";
import type { TuneState } from "./messages";
import type { Tuning } from "./tuning";

/** Where letters are written, and no key is ours. */
const WRITTEN = "input, textarea, select, [contenteditable]";
/** Where arrow keys move something else. */
const ARROWED = "[role=tab], [role=slider], [role=radio], [role=group][tabindex]";

/** Takes keys while `shown()`; before the widget's own, which step through every sample. */
export function listenToLabelKeys(tuning: Tuning, shown: () => boolean, write: () => void): void {
  const { root, signal } = tuning.view;
  root.addEventListener(
    "keydown",
    (event) => {
      if (!shown() || event.defaultPrevented || event.isComposing) return;
      const at = event.target as Element;
      if (at.closest(WRITTEN) !== null) return;
      const undoing = event.key === "z" && (event.ctrlKey || event.metaKey) && !event.altKey;
      if (modified(event) && !undoing) return;
      if (event.key.startsWith("Arrow") && at.closest(ARROWED) !== null) return;
      if (press(tuning, event, undoing, write)) taken(event);
    },
    { signal, capture: true },
  );
}

/** Keys that are the tab's, also while they mean nothing: a notebook would edit its cells by them. */
const OWN = /^[rwuev1-9]$/;

/** Does what a key means. False: it is none of the tab's. */
function press(tuning: Tuning, event: KeyboardEvent, undoing: boolean, write: () => void): boolean {
  const { view, state } = tuning;
  const key = event.key.toLowerCase();
  if (!view.session.connected || state === null) return OWN.test(key);
  switch (key) {
    case "arrowleft":
    case "arrowup":
      return event.shiftKey ? extend(tuning, -1) : step(tuning, -1);
    case "arrowright":
    case "arrowdown":
      return event.shiftKey ? extend(tuning, 1) : step(tuning, 1);
    case "home":
      return end(tuning, 0);
    case "end":
      return end(tuning, -1);
    case "r":
    case "w":
      // Held down it would label one sample many times.
      if (!event.repeat) void mark(tuning, key === "r");
      return true;
    case "u":
      void undo(tuning);
      return true;
    case "z":
      if (undoing) void undo(tuning);
      return undoing;
    case "e":
      write();
      return true;
    case "v":
      cycle(tuning, event.shiftKey ? -1 : 1);
      return true;
    default:
      if (OWN.test(key) && !event.repeat) pick(tuning, Number(key));
      return OWN.test(key);
  }
}

/** Steps, and stretches the chosen samples to there; the end that was stepped from moves. */
function extend(tuning: Tuning, by: 1 | -1): boolean {
  const { session } = tuning.view;
  const before = session.selected;
  if (!stepSample(session, by)) return false;
  const at = session.selected as number;
  const { stretched } = tuning;
  const from = stretched !== null && stretched.at === before ? stretched.from : (before ?? at);
  tuning.stretched = { from, at };
  void tuning.choose({ first: Math.min(from, at), last: Math.max(from, at) });
  return true;
}

/** Chooses the next version of the grid. */
function cycle(tuning: Tuning, by: number): void {
  const { columns, version } = tuning.state as TuneState;
  if (columns.length < 2) return;
  const place = columns.indexOf(version) + by + columns.length;
  void tuning.choose({ version: columns[place % columns.length] as number });
}
