/** What is being asked about many samples, and what came of it. */

import { button, div, fill, h, setAttr, setText, span } from "../dom";
import { plural } from "../format";
import type { BackfillState } from "./messages";
import type { Tuning } from "./tuning";

/** Backfills that are listed, the newest first. */
const LISTED = 3;

export function backfillList(tuning: Tuning): HTMLElement {
  const el = div({ class: "ov-tune-backfills", role: "list", "aria-label": "What was tried" });
  const lines = new Map<number, ReturnType<typeof line>>();
  tuning.on("state", ({ backfills }) => {
    const shown = backfills.slice(-LISTED).reverse();
    const wanted = shown.map((backfill) => {
      const known = lines.get(backfill.number) ?? line(tuning, backfill.number);
      lines.set(backfill.number, known);
      known.show(backfill);
      return known.el;
    });
    if (wanted.length !== el.children.length || wanted.some((one, i) => one !== el.children[i])) {
      fill(el, ...wanted);
    }
  });
  return el;
}

function line(tuning: Tuning, number: number) {
  const name = h("b");
  const words = span({ class: "ov-label", dir: "auto" });
  const bar = h("progress", { max: 1 });
  const cancel = button("Cancel", () => void tuning.ask({ kind: "cancel", number }), "ov-link");
  const resume = button("Resume", () => void tuning.ask({ kind: "resume", number }), "ov-link");
  let running = false;
  const el = div({ role: "listitem" }, name, bar, words, cancel, resume);
  return {
    el,
    show(state: BackfillState) {
      const { version, done, total, errors, cached, missing, remaining, active } = state;
      if (running && !active) tuning.view.announce(`v${version} ${state.status}`);
      running = active;
      setText(name, `v${version}`);
      bar.max = Math.max(1, total);
      bar.value = done;
      setAttr(bar, "aria-label", `v${version}: ${done} of ${total}`);
      bar.hidden = !active;
      const parts = [
        active ? `${done} of ${plural(total, "sample")}` : state.status,
        cached > 0 && `${cached} from the cache`,
        errors > 0 && plural(errors, "error"),
        missing > 0 && `${plural(missing, "picture")} kept no more`,
      ];
      setText(words, parts.filter(Boolean).join(" · "));
      cancel.hidden = !active;
      resume.hidden = active || remaining === 0;
    },
  };
}
