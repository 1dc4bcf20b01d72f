/** One row of the results: an element that is filled anew for each row that it shows. */

import { append, h, icon, setAttr, setText } from "./dom";
import { clock, count, latency } from "./format";
import type { Row } from "./messages";

/** Fields of a structured answer that a row shows; two lines never hold more. */
const MAX_CHIPS = 24;
/** Characters of a text that a row shows; two lines never hold more. */
const MAX_TEXT = 400;

/** What a row looks like besides its content. */
export interface Look {
  /** Place in the list, from the top. */
  index: number;
  selected: boolean;
  /** Where the keyboard is. */
  current: boolean;
  /** The row below is of another prompt. */
  first: boolean;
}

/** The texts of a row's cells. */
export interface Cells {
  time: string;
  answer: string;
  chips: readonly [string, string][] | null;
  latency: string;
  tokens: string;
  version: string;
}

export function cellsOf(row: Row): Cells {
  return {
    time: clock(row.media_time),
    answer: shorten(row.ok ? row.text : (row.error ?? "failed"), row.cut),
    chips: row.ok && row.chips !== null && row.chips.length > 0 ? row.chips : null,
    latency: latency(row.latency_ms),
    tokens: row.tokens === null ? "" : `${count(row.tokens)} tok`,
    version: `v${row.version}`,
  };
}

function shorten(text: string, cut = false): string {
  return text.length <= MAX_TEXT ? text + (cut ? "…" : "") : `${text.slice(0, MAX_TEXT)}…`;
}

export class RowView {
  readonly el: HTMLElement;
  #time = h("span", { class: "ov-result-time", attrs: { role: "gridcell" } });
  #answer = h("span", { class: "ov-result-answer", attrs: { role: "gridcell" } });
  #text = h("span", { class: "ov-result-text", attrs: { dir: "auto" } });
  #latency = h("span", { class: "ov-result-latency", attrs: { role: "gridcell" } });
  #tokens = h("span", { class: "ov-result-tokens", attrs: { role: "gridcell" } });
  #version = h("span", { class: "ov-result-version", attrs: { role: "gridcell" } });
  #row: Row | undefined;
  #look: Partial<Look> = {};
  #icon: SVGSVGElement;

  constructor(id: string) {
    this.#icon = icon("warning");
    this.#answer.append(this.#icon, this.#text);
    this.el = h(
      "div",
      { class: "ov-result", attrs: { role: "row", id } },
      this.#time,
      this.#answer,
      this.#latency,
      this.#tokens,
      this.#version,
    );
    this.#fill(undefined);
  }

  /** The row that is shown; undefined while it is on its way. */
  get row(): Row | undefined {
    return this.#row;
  }

  show(row: Row | undefined, look: Look): void {
    if (row !== this.#row) this.#fill(row);
    const old = this.#look;
    this.#look = look;
    if (look.index !== old.index) setAttr(this.el, "aria-rowindex", look.index + 1);
    if (look.selected !== old.selected) setAttr(this.el, "aria-selected", String(look.selected));
    if (look.current !== old.current) setAttr(this.el, "data-current", look.current);
    if (look.first !== old.first) setAttr(this.el, "data-first", look.first);
  }

  #fill(row: Row | undefined): void {
    this.#row = row;
    setAttr(this.el, "aria-busy", row === undefined ? "true" : null);
    setAttr(this.el, "data-error", row !== undefined && !row.ok);
    const cells = row && cellsOf(row);
    setText(this.#time, cells?.time ?? "");
    setText(this.#latency, cells?.latency ?? "");
    setText(this.#tokens, cells?.tokens ?? "");
    setText(this.#version, cells?.version ?? "");
    this.#version.title = row ? `Answered by prompt version ${row.version}` : "";
    this.#icon.style.display = row && !row.ok ? "" : "none";
    if (cells?.chips) this.#showChips(cells.chips);
    else this.#text.textContent = cells ? cells.answer || "(empty answer)" : "";
    setAttr(this.#text, "data-empty", cells?.answer === "");
  }

  #showChips(chips: readonly [string, string][]): void {
    this.#text.replaceChildren();
    for (const [key, value] of chips.slice(0, MAX_CHIPS)) {
      const text = h("span", {
        class: value === "null" ? "ov-pair-null" : "ov-pair-value",
        text: shorten(value),
      });
      const chip = h("span", { class: "ov-pair" }, h("span", { text: `${shorten(key)} ` }), text);
      append(this.#text, [chip, " "]);
    }
  }
}
