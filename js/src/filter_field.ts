/** The search field over the rows: tells the session what to look for once the typing rests. */

import { append, h, icon } from "./dom";
import type { Session } from "./session";

/** Milliseconds without a key before the filter is applied. */
const TYPING = 150;

export function filterField(session: Session, signal: AbortSignal): HTMLElement {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const input = h("input", {
    class: "ov-field",
    data: { ov: "filter" },
    attrs: {
      type: "search",
      "aria-label": "Filter rows",
      placeholder: "Filter rows: text, is:error, v:2",
      spellcheck: "false",
      autocomplete: "off",
      dir: "auto",
    },
  });
  input.value = session.query;
  const apply = () => {
    clearTimeout(timer);
    const query = input.value.trim();
    if (query !== session.query) session.filter(query);
  };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    if (input.value === "") apply();
    else timer = setTimeout(apply, TYPING);
  });
  input.addEventListener("keydown", (event) => {
    event.stopPropagation(); // the notebook has keys of its own
    if (event.key === "Enter") apply();
    if (event.key === "Escape") {
      event.preventDefault();
      input.value = "";
      apply();
    }
  });
  const follow = () => {
    // A reopened notebook has no kernel to search in.
    input.disabled = session.connection === "waiting";
    // Another view of the stream may have set a filter; what is being typed here stays.
    const root = input.getRootNode() as Document | ShadowRoot;
    if (root.activeElement !== input) input.value = session.query;
  };
  session.on("matches", follow, signal);
  session.on("connection", follow, signal);
  signal.addEventListener("abort", () => clearTimeout(timer));
  follow();
  const el = h("label", { class: "ov-filter" });
  append(el, [icon("search"), input]);
  return el;
}
