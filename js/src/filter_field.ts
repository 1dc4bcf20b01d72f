/** The search field over the rows: tells the session what to look for once the typing rests. */

import { focused, h, icon } from "./dom";
import { Later } from "./later";
import type { Session } from "./session";

/** Milliseconds without a key before the filter is applied. */
const TYPING = 150;

export function filterField(session: Session, signal: AbortSignal): HTMLElement {
  const typing = new Later(signal);
  const input = h("input", {
    class: "ov-field",
    "data-ov": "filter",
    type: "search",
    "aria-label": "Filter rows",
    placeholder: "Filter rows: text, is:error, v:2",
    spellcheck: "false",
    autocomplete: "off",
    dir: "auto",
    on: {
      input: () => {
        if (input.value === "") apply();
        else typing.set(TYPING, apply);
      },
      keydown: (event) => {
        event.stopPropagation(); // the notebook has keys of its own
        if (event.key === "Enter") apply();
        if (event.key === "Escape") {
          event.preventDefault();
          input.value = "";
          apply();
        }
      },
    },
  });
  input.value = session.query;
  const apply = () => {
    typing.cancel();
    const query = input.value.trim();
    if (query !== session.query) session.filter(query);
  };
  const follow = () => {
    // A reopened notebook has no kernel to search in.
    input.disabled = session.connection === "waiting";
    // Another view of the stream may have set a filter; what is being typed here stays.
    if (focused(input) !== input) input.value = session.query;
  };
  session.on(["matches", "connection"], follow, signal);
  follow();
  return h("label", "ov-filter", icon("search"), input);
}
