/** The focus, where what has it goes: keys are to go on to be the tab's. */

import { focusOn } from "../dom";
import type { View } from "../view";

/** Takes the focus of what is hidden, removed or disabled while it has it, while `shown()`. */
export function keepFocus({ root, signal }: View, shown: () => boolean): void {
  root.addEventListener(
    "focusout",
    ({ target, relatedTarget }) => {
      const el = target as Element;
      const gone = el.matches(":disabled") || el.getClientRects().length === 0;
      if (shown() && relatedTarget === null && gone) focusOn(root);
    },
    { signal },
  );
}
