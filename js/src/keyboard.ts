/** Keys that work wherever the focus is in the widget, but for where they mean something else. */

import { focusOn, modified, taken } from "./dom";
import { togglePlayback } from "./requests";
import { describe, endSample, stepSample } from "./samples";
import type { View } from "./view";

/** Where letters are written, and no key is ours. */
const EDITABLE = "input, textarea, select";
/** What space presses. */
const PRESSABLE = "button, summary";
/** What does something of its own when it is clicked. */
const INTERACTIVE = `${EDITABLE}, ${PRESSABLE}, label, [tabindex]`;

/** Lets `view.root` take keys, until the view goes. */
export function listenToKeys(view: View): void {
  const { root, signal } = view;
  root.addEventListener(
    "keydown",
    (event) => {
      if (event.defaultPrevented || event.isComposing) return;
      if (modified(event)) return;
      const target = event.target as Element;
      if (target.closest(EDITABLE) !== null) return;
      if (event.key === " " && target.closest(PRESSABLE) !== null) return;
      if (press(view, event)) taken(event);
    },
    { signal },
  );
  root.addEventListener(
    "click",
    (event) => {
      // A click that ends a selection of text must not take it away.
      const selecting = document.getSelection()?.isCollapsed === false;
      const within = (event.target as Element).closest(INTERACTIVE);
      if (selecting || (within !== null && within !== root)) return;
      focusOn(root);
    },
    { signal },
  );
}

/** Does what a key means. False: it means nothing here, now. */
function press(view: View, event: KeyboardEvent): boolean {
  const { session, root } = view;
  switch (event.key) {
    case " ":
      return event.repeat ? session.connected : togglePlayback(view);
    case "ArrowLeft":
      return heard(view, event, stepSample(session, -1));
    case "ArrowRight":
      return heard(view, event, stepSample(session, 1));
    case "Home":
      return heard(view, event, endSample(session, "first"));
    case "End":
      return heard(view, event, endSample(session, "newest"));
    case "Escape":
      if (session.selected === null) return false;
      session.select(null);
      return true;
    case "c":
      session.showCaption(!session.caption);
      return true;
    case "/": {
      const filter = root.querySelector<HTMLElement>('[data-ov="filter"]');
      filter?.focus();
      return filter !== null;
    }
    default:
      return false;
  }
}

/** Tells which sample was chosen, unless the focused slider does so itself. */
function heard({ session, announce }: View, event: Event, moved: boolean): boolean {
  const spoken = (event.target as Element).getAttribute("role") === "slider";
  if (moved && !spoken && session.selected !== null) announce(describe(session, session.selected));
  return moved;
}
