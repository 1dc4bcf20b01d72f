/** The prompt: edited here, applied when its author says so, with all versions that ran. */

import { applyBar, SHORTCUT } from "./apply_bar";
import { button, div, setAttr, setText } from "./dom";
import { Draft } from "./draft";
import { plural } from "./format";
import { currentPrompt } from "./in_force";
import { promptVersions } from "./prompt_versions";
import { textArea } from "./text_area";
import type { Part } from "./view";

export const promptEditor: Part = (view) => {
  const { session, signal } = view;
  const draft = new Draft(currentPrompt(session).text);
  /** The version whose text was loaded, until it is edited. */
  let loaded: number | null = null;

  const area = textArea(
    "Prompt",
    { class: "ov-field ov-prompt-text", rows: 3, most: 10, dir: "auto" },
    (text) => {
      draft.edit(text);
      loaded = null;
      bar.edited();
      bar.render();
    },
  );
  const bar = applyBar({
    view,
    area: area.el,
    draft,
    setting: "prompt",
    noun: "prompt",
    change: (prompt) => ({ prompt }),
    changed: () => render(),
    describe: () => {
      const { version, text } = currentPrompt(session);
      const may = draft.text.trim() !== "";
      const what = loaded === null ? "edited" : `text of v${loaded}`;
      if (!draft.edited) {
        return { text: text === draft.inForce ? `v${version} in force` : "applied", may };
      }
      if (!may) return { text: "A prompt is needed", error: true, may };
      if (draft.overtaken) {
        return { text: `v${version} is in force now; yours is not applied`, may };
      }
      if (bar.needsRestart()) return { text: `${what}, takes effect at a restart`, may };
      return { text: `${what}, not applied (${SHORTCUT})`, may };
    },
  });
  const versions = promptVersions({
    view,
    mine: () => (draft.edited && loaded === null ? draft.text : null),
    load: (text, version) => {
      draft.edit(text);
      loaded = version;
      bar.edited();
      render();
      area.el.focus();
    },
    apply: (text, version) => void bar.apply(text, { version }),
  });
  const open = (opened: boolean) => {
    versions.el.hidden = !opened;
    setAttr(disclose, "aria-expanded", String(opened));
    versions.render();
  };
  const disclose = button("", () => open(versions.el.hidden), "ov-disclose");
  open(false);

  const render = () => {
    area.show(draft.text);
    area.el.readOnly = session.welcome === null;
    bar.render();
  };
  let followed = 0;
  const follow = () => {
    const { text, version } = currentPrompt(session);
    followed = version;
    if (text !== draft.inForce) {
      draft.follow(text);
      if (!draft.edited) loaded = null;
    }
    disclose.hidden = session.prompts.length < 2;
    setText(disclose, plural(session.prompts.length, "version"));
    versions.render();
    render();
  };
  session.on("prompts", follow, signal);
  session.on("connection", render, signal);
  session.on(
    "status",
    () => {
      if (currentPrompt(session).version !== followed) follow();
      // Whether it is over decides what the button does; figures do not concern the prompt.
      else bar.render();
    },
    signal,
  );
  follow();
  return div("ov-pane", area.el, bar.el, disclose, versions.el);
};
