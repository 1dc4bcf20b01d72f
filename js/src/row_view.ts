/** One row of the results: an element that is filled anew for each row that it shows. */

import { div, fill, icon, setAttr, setText, span, uniqueId, type Child } from "./dom";
import { clock, count, latency, NOTHING, shorten } from "./format";
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

const EMPTY: Cells = { time: "", answer: "", chips: null, latency: "", tokens: "", version: "" };

export function cellsOf(row: Row): Cells {
  const answer = shorten(row.ok ? row.text : (row.error ?? "failed"), MAX_TEXT);
  return {
    time: clock(row.media_time),
    answer: answer + (row.cut && answer.length <= MAX_TEXT ? "…" : ""),
    chips: row.ok && row.chips !== null && row.chips.length > 0 ? row.chips : null,
    latency: latency(row.latency_ms),
    tokens: row.tokens === null ? "" : `${count(row.tokens)} tok`,
    version: `v${row.version}`,
  };
}

const cell = (name: string, ...children: Child[]) =>
  span({ class: `ov-result-${name}`, role: "gridcell" }, ...children);

export class RowView {
  readonly el: HTMLElement;
  #time = cell("time");
  #text = span({ class: "ov-result-text", dir: "auto" });
  #latency = cell("latency");
  #tokens = cell("tokens");
  #version = cell("version");
  #row: Row | undefined;

  constructor() {
    this.el = div(
      { class: "ov-result", role: "row", id: uniqueId(), "aria-busy": "true" },
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
    const cells = row ? cellsOf(row) : EMPTY;
    setAttr(this.el, "aria-busy", row ? null : "true");
    setAttr(this.el, "data-error", row?.ok === false);
    setText(this.#time, cells.time);
    setText(this.#latency, cells.latency);
    setText(this.#tokens, cells.tokens);
    setText(this.#version, cells.version);
    const empty = row !== undefined && cells.answer === "";
    setAttr(this.#text, "data-empty", empty);
    if (cells.chips) this.#showChips(cells.chips);
    else this.#text.textContent = empty ? NOTHING : cells.answer;
  }

  #showChips(chips: readonly [string, string][]): void {
    const pairs = chips.slice(0, MAX_CHIPS).flatMap(([key, value]) => {
      const shown = span({
        class: value === "null" ? "ov-pair-null" : "ov-pair-value",
        text: shorten(value, MAX_TEXT),
      });
      return [span("ov-pair", `${shorten(key, MAX_TEXT)} `, shown), " "];
    });
    fill(this.#text, ...pairs);
  }
}
