/** The chosen version beside another: which is better, what changed; and what to do with it. */

import { button, div, fill, h, setAttr, setText, span } from "../dom";
import { copyText } from "../clipboard";
import { isActive } from "../in_force";
import { Later } from "../later";
import { plain } from "./labels";
import type { Diff, Segment } from "./messages";
import type { Tuning } from "./tuning";

/** Returns what changed, and what that came to. */
export function comparison(tuning: Tuning): [HTMLElement, HTMLElement] {
  const { view } = tuning;
  const { session, signal } = view;
  const title = h("strong");
  const flips = span("ov-tune-flips");
  const verdict = h("p", { class: "ov-tune-verdict", role: "status" });
  const diff = div({ class: "ov-tune-diff", dir: "auto" });
  const schema = div({ class: "ov-tune-schema", dir: "ltr" });
  const changes = h("ul", { class: "ov-tune-changes" });
  const pair = span("ov-label");
  const changed = div("ov-tune-changed", pair, diff, changes, schema);
  setAttr(changed, "role", "group");
  setAttr(changed, "aria-label", "What changed");
  changed.tabIndex = 0; // keys scroll it
  const apply = button("", () => void applied(), "ov-button");
  const copy = button("Copy as code", () => void copied());
  const why = span("ov-label");
  const judge = h("select", {
    class: "ov-field",
    "aria-label": "When an answer counts as right",
    on: {
      change: () => {
        // One that was made in Python has a name only there.
        if (tuning.state?.judges.includes(judge.value)) void tuning.choose({ judge: judge.value });
      },
    },
  });

  const applied = async () => {
    const version = tuning.state?.version;
    if (version === undefined) return;
    apply.disabled = true;
    const { ok } = await tuning.ask({ kind: "apply", version });
    if (ok) view.announce(`v${version} is in force`);
    render();
  };
  const rest = new Later(signal);
  const copied = async () => {
    const version = tuning.state?.version;
    if (version !== undefined) await tuning.ask({ kind: "want_code", version });
  };
  tuning.on("code", ({ version, code }) => {
    void copyText(code).then((done) => {
      view.announce(
        done ? `The code of v${version} was copied` : "This page may not write to the clipboard",
      );
      setText(copy, done ? "Copied" : "Cannot copy");
      rest.set(1500, () => setText(copy, "Copy as code"));
    });
  });

  let offered = "";
  const render = () => {
    const { state } = tuning;
    if (state === null) return;
    const { version, baseline, better, worse, labelled } = state;
    const inForce = tuning.version(version)?.in_force ?? false;
    const over = !isActive(session.status?.state ?? "closed");
    setText(title, baseline === null ? `v${version}` : `v${version} beside v${baseline}`);
    fill(
      flips,
      baseline !== null &&
        labelled > 0 &&
        span({ class: "ov-better", text: `▲ ${better} better` }),
      baseline !== null && labelled > 0 && span({ class: "ov-worse", text: `▼ ${worse} worse` }),
    );
    setText(verdict, state.verdict);
    setText(apply, `Apply v${version}`);
    apply.disabled = inForce || over || !session.connected;
    apply.classList.toggle("ov-primary", !apply.disabled);
    copy.disabled = !session.connected;
    setText(why, inForce ? "in force" : over ? "The stream is over: restart it to apply" : "");
    const names = state.judges.includes(state.chosen.judge)
      ? state.judges
      : [...state.judges, state.chosen.judge];
    if (names.join("\n") !== offered) {
      offered = names.join("\n");
      fill(judge, ...names.map((name) => h("option", { text: words(name), value: name })));
    }
    judge.value = state.chosen.judge;
  };
  tuning.on("state", render);
  tuning.on("diff", (news) => {
    setText(pair, news.old === news.new ? `v${news.new}` : `v${news.old} → v${news.new}`);
    showDiff(news, diff, schema, changes);
  });
  session.on(["status", "connection"], render, signal);
  const outcome = div(
    "ov-tune-comparison",
    div("ov-tune-about", title, flips, h("label", "ov-label", "right when ", judge)),
    verdict,
    div("ov-tune-acts", why, copy, apply),
  );
  return [changed, outcome];
}

/** "number_within" as words. */
const words = (judge: string) => judge.replaceAll("_", " ");

const TAGS = { same: "span", removed: "del", added: "ins" } as const;

function showDiff(
  { old, new: now, segments, schema, changes }: Diff,
  el: HTMLElement,
  lines: HTMLElement,
  list: HTMLElement,
) {
  const pieces = (all: Segment[]) => all.map(({ kind, text }) => h(TAGS[kind], { text }));
  const same = segments.every(({ kind }) => kind === "same");
  if (same && old !== now) fill(el, h("em", { class: "ov-label", text: "The same prompt" }));
  else fill(el, ...pieces(segments));
  fill(lines, ...pieces(schema));
  list.hidden = changes.length === 0;
  fill(
    list,
    ...changes.map(({ name, old: before, new: after }) =>
      h(
        "li",
        { dir: "auto" },
        span({ class: "ov-label", text: words(name) }),
        " ",
        h("del", { text: plain(before) }),
        " → ",
        h("ins", { text: plain(after) }),
      ),
    ),
  );
}
