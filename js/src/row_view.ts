/** One row of the results: an element that is filled anew for each row that it shows. */

import { fill, h, icon, setAttr, setText, type Child } from "./dom";
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

const cell = (name: string, ...children: Child[]) =>
  h("span", { class: `ov-result-${name}`, role: "gridcell" }, ...children);

export class RowView {
  readonly el: HTMLElement;
  #time = cell("time");
  #text = h("span", { class: "ov-result-text", dir: "auto" });
  #latency = cell("latency");
  #tokens = cell("tokens");
  #version = cell("version");
  #row: Row | undefined;

  constructor(id: string) {
    this.el = h(
      "div",
      { class: "ov-result", role: "row", id, "aria-busy": "true" },
      this.#time,
      cell("answer", icon("warning"), this.#text),
      this.#latency,
      this.#tokens,
      this.#version,
    );
  }

  /** The row that is shown; undefined while it is on its way. */
  get row(): Row | undefined {
    return this.#row;
  }

  show(row: Row | undefined, look: Look): void {
    if (row !== this.#row) this.#fill(row);
    setAttr(this.el, "aria-rowindex", look.index + 1);
    setAttr(this.el, "aria-selected", String(look.selected));
    setAttr(this.el, "data-current", look.current);
    setAttr(this.el, "data-first", look.first);
  }

  #fill(row: Row | undefined): void {
    this.#row = row;
    const cells = row && cellsOf(row);
    setAttr(this.el, "aria-busy", row ? null : "true");
    setAttr(this.el, "data-error", row?.ok === false);
    setText(this.#time, cells?.time ?? "");
    setText(this.#latency, cells?.latency ?? "");
    setText(this.#tokens, cells?.tokens ?? "");
    setText(this.#version, cells?.version ?? "");
    setAttr(this.#text, "data-empty", cells?.answer === "");
    if (cells?.chips) this.#showChips(cells.chips);
    else this.#text.textContent = cells ? cells.answer || "(empty answer)" : "";
  }

  #showChips(chips: readonly [string, string][]): void {
    const pairs = chips.slice(0, MAX_CHIPS).flatMap(([key, value]) => {
      const shown = h("span", {
        class: value === "null" ? "ov-pair-null" : "ov-pair-value",
        text: shorten(value),
      });
      return [h("span", "ov-pair", `${shorten(key)} `, shown), " "];
    });
    fill(this.#text, ...pairs);
  }
}
