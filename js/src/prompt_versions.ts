/** Versions of the prompt, newest first: a click loads one's text, another applies it. */

import { button, fill, h, setAttr, span } from "./dom";
import { currentPrompt, currentSettings } from "./in_force";
import type { PromptVersion } from "./messages";
import type { View } from "./view";

/** Versions that are listed; older ones are counted. */
const LISTED = 50;
/** Characters of a text's first line that can be of use in a list. */
const FIRST_LINE = 160;

export interface VersionsOf {
  view: View;
  /** A text that was typed and not applied; loading another would lose it. */
  mine(): string | null;
  load(text: string, version: number | null): void;
  apply(text: string, version: number): void;
}

export function firstLine(text: string): string {
  return text.trimStart().slice(0, FIRST_LINE).split("\n", 1)[0] ?? "";
}

/** When a version began, in short; the day where it was another. */
export function when(at: number, now = new Date()): string {
  const date = new Date(at * 1000);
  const day = date.toDateString() === now.toDateString() ? "" : `${date.toLocaleDateString()} `;
  return day + date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

export function promptVersions(of: VersionsOf): { el: HTMLElement; render(): void } {
  const { session } = of.view;
  const el = h("ol", { class: "ov-versions", "aria-label": "Versions of the prompt" });
  /** The author's own text, kept while another's is in the editor. */
  let kept: string | null = null;

  const load = (text: string, version: number | null) => () => {
    kept = version === null ? null : (of.mine() ?? kept);
    of.load(text, version);
    render();
  };
  const entry = (tag: string, text: string, version: number | null, meta: string, end: Node) => {
    const choose = button("", load(text, version), "ov-version");
    choose.append(
      h("b", { text: tag }),
      span({ text: firstLine(text), dir: "auto" }),
      h("small", { text: meta }),
    );
    return h("li", {}, choose, end);
  };
  const applying = (version: number, text: string) => {
    const apply = button("Apply", () => of.apply(text, version), "ov-link");
    setAttr(apply, "aria-label", `Apply v${version}`);
    return apply;
  };
  const line = ({ version, text, model, output_schema, at }: PromptVersion) => {
    const inForce = version === currentPrompt(session).version;
    const now = currentSettings(session);
    const others =
      (model === now.model ? "" : `${model} · `) +
      (output_schema === now.output_schema ? "" : "other schema · ");
    return entry(
      `v${version}`,
      text,
      version,
      others + when(at),
      inForce ? h("small", { text: "in force" }) : applying(version, text),
    );
  };
  const render = () => {
    if (el.hidden) return;
    const { prompts } = session;
    const older = prompts.length - LISTED;
    fill(
      el,
      kept !== null && entry("Yours", kept, null, "not applied", h("small")),
      ...prompts.slice(-LISTED).reverse().map(line),
      older > 0 && h("li", { class: "ov-label", text: `and ${older} older` }),
    );
  };
  return { el, render };
}
