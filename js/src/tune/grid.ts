/**
 * Samples down, versions across. Only the rows in view are elements; each has a place of its own,
 * so that new samples below move nothing.
 */

import { button, div, focused, h, setAttr, setText, span, uniqueId } from "../dom";
import { clamp, clock, plural } from "../format";
import { Later, onFrame, watched } from "../later";
import { drawStill } from "../still";
import { expectation, placeOf } from "./labels";
import { percent, inWords, verdictMark } from "./marks";
import type { Cell, GridRow } from "./messages";
import type { Tuning } from "./tuning";

/** Height of a row and of the head in CSS pixels; `tune.css` has the same. */
export const ROW = 58;
const HEAD = 34;
/** Rows kept beyond both edges. */
const OVERSCAN = 4;
/** Milliseconds that scrolling rests before rows are asked for. */
const REST = 40;

interface Slot {
  el: HTMLElement;
  place: number;
  cells: Map<number, ReturnType<typeof cellOf>>;
  show(place: number): void;
}

export function grid(tuning: Tuning): HTMLElement {
  const { view } = tuning;
  const { session, signal } = view;
  const heads = div({ class: "ov-tune-heads", role: "row" });
  const space = div({ class: "ov-tune-space", role: "rowgroup" });
  const nothing = h("p", { class: "ov-nothing", role: "status" });
  const el = div(
    {
      class: "ov-tune-grid",
      role: "grid",
      tabindex: 0,
      "aria-label": "Answers by sample and version",
      on: { scroll: () => draw() },
    },
    heads,
    space,
  );
  const slots = new Map<number, Slot>();
  const free: Slot[] = [];
  const rest = new Later(signal);
  const ids = uniqueId();
  let columns: number[] = [];
  let headed = "";

  const showHeads = () => {
    const { state } = tuning;
    if (state === null) return;
    columns = state.columns;
    el.style.setProperty("--columns", String(columns.length));
    setAttr(el, "aria-colcount", columns.length + 2);
    const now = columns.map((version) => [version, tuning.version(version)]);
    const shown = JSON.stringify([now, state.version, state.baseline]);
    if (shown === headed) return;
    headed = shown;
    const focus = heads.contains(focused(heads));
    heads.replaceChildren(
      headOf("Sample"),
      headOf("Expected"),
      ...columns.map((version) => {
        const known = tuning.version(version);
        const head = headOf("");
        const chosen = version === state.version;
        const choose = button(`v${version}`, () => void tuning.choose({ version }), "ov-tune-column");
        setAttr(choose, "aria-pressed", String(chosen));
        if (known?.best) choose.append(span({ class: "ov-best", text: " ★" }));
        const score = known?.score;
        const words = score ? percent(score.accuracy) : "";
        choose.title = score ? inWords(score) : "Choose this version";
        const vs = version === state.baseline ? "vs" : "";
        head.append(choose, span({ class: "ov-label", text: vs }), span({ text: words }));
        return head;
      }),
    );
    if (focus) heads.querySelector<HTMLElement>("[aria-pressed=true]")?.focus();
  };

  const slot = (): Slot => {
    const canvas = h("canvas", { "aria-hidden": true });
    const number = span("ov-tune-number");
    const time = span("ov-label");
    const label = div({ class: "ov-tune-expected", role: "gridcell", dir: "auto" });
    const cells = new Map<number, ReturnType<typeof cellOf>>();
    const row = div(
      { class: "ov-tune-row", role: "row" },
      div(
        { class: "ov-tune-sample", role: "rowheader" },
        div("ov-tune-thumb", canvas),
        div({}, number, time),
      ),
      label,
    );
    row.addEventListener("click", ({ target }) => {
      const sample = tuning.samples[made.place];
      if (sample === undefined) return;
      const cell = (target as Element).closest<HTMLElement>("[data-version]");
      const version = Number(cell?.dataset.version);
      if (cell && version !== tuning.state?.version) void tuning.choose({ version });
      if (sample !== session.selected) session.select(sample);
    });
    space.append(row);
    const made: Slot = {
      el: row,
      place: -1,
      cells,
      show(place) {
        const sample = tuning.samples[place] as number;
        const known = tuning.rows.get(sample);
        made.place = place;
        row.hidden = false;
        row.style.transform = `translateY(${place * ROW}px)`;
        setAttr(row, "aria-rowindex", place + 2);
        setAttr(row, "aria-selected", String(sample === session.selected));
        row.id = `${ids}-${sample}`;
        setText(number, `#${sample}`);
        const at = known?.media_time ?? session.timeline.times[sample];
        setText(time, at === undefined ? "" : clock(at));
        const jpeg = tuning.thumbs.get(sample);
        setAttr(canvas, "data-none", jpeg === null);
        void drawStill(canvas, jpeg ?? null);
        const field = tuning.state?.chosen.field ?? null;
        const words = known ? expectation(known, field) : "";
        setText(label, words);
        label.title = words;
        for (const [version, cell] of cells) {
          if (columns.includes(version)) continue;
          cell.el.remove();
          cells.delete(version);
        }
        columns.forEach((version, i) => {
          const cell = cells.get(version) ?? cellOf(version);
          cells.set(version, cell);
          if (row.children[i + 2] !== cell.el) row.insertBefore(cell.el, row.children[i + 2] ?? null);
          cell.show(known, version === tuning.state?.version);
        });
      },
    };
    return made;
  };

  const draw = onFrame(signal, () => {
    const { samples, state } = tuning;
    const viewport = Math.max(0, el.clientHeight - HEAD);
    const top = clamp(el.scrollTop, 0, samples.length * ROW - viewport);
    const end = Math.min(samples.length, Math.ceil((top + viewport) / ROW) + OVERSCAN);
    const first = clamp(Math.floor(top / ROW) - OVERSCAN, 0, end);
    space.style.height = `${samples.length * ROW}px`;
    setAttr(el, "aria-rowcount", samples.length + 1);
    nothing.hidden = samples.length > 0 || state === null;
    setText(nothing, reason());
    for (const [place, one] of slots) {
      if (place >= first && place < end) continue;
      slots.delete(place);
      free.push(one);
    }
    const wanted: number[] = [];
    for (let place = first; place < end; place++) {
      const one = slots.get(place) ?? free.pop() ?? slot();
      slots.set(place, one);
      one.show(place);
      wanted.push(samples[place] as number);
    }
    for (const { el: row } of free) row.hidden = true;
    const { selected } = session;
    const current = [...slots.values()].find(({ place }) => samples[place] === selected);
    setAttr(el, "aria-activedescendant", selected === null ? null : (current?.el.id ?? null));
    if (wanted.length && state !== null) rest.set(REST, () => tuning.want(wanted));
  });
  const reason = () => {
    const { chosen, answered = 0 } = tuning.state ?? {};
    if (answered === 0) return "No sample was answered yet.";
    return chosen?.only.length ? "No sample is like that." : "No sample of the stretch was answered.";
  };
  /** Scrolls as little as shows the selected sample. */
  const reveal = () => {
    const { selected } = session;
    const place = selected === null ? -1 : placeOf(tuning.samples, selected);
    if (selected !== null && tuning.samples[place] === selected) {
      const upper = place * ROW;
      const viewport = Math.max(ROW, el.clientHeight - HEAD);
      const top = Math.max(Math.min(el.scrollTop, upper), upper + ROW - viewport);
      if (top !== el.scrollTop) el.scrollTop = top;
    }
    draw();
  };

  tuning.on("state", () => {
    showHeads();
    draw();
  });
  let length = 0;
  tuning.on("samples", (samples) => {
    // Who looks at the newest goes on to do so.
    const atEnd = el.scrollTop + el.clientHeight >= HEAD + length * ROW - 2;
    const grew = samples.length > length;
    length = samples.length;
    space.style.height = `${length * ROW}px`;
    if (atEnd && grew && session.selected === null) el.scrollTop = length * ROW;
    draw();
  });
  tuning.on(["cells", "thumbs"], draw);
  session.on("selected", reveal, signal);
  watched(el, new ResizeObserver(() => draw()), signal);
  return div("ov-tune-frame", filters(tuning), div("ov-list-frame", el, nothing));
}

function headOf(text: string): HTMLElement {
  return div({ class: "ov-tune-head", role: "columnheader", text });
}

/** What a version said about a sample. */
function cellOf(version: number) {
  const differs = span({ class: "ov-differs", text: "≠", role: "img" });
  setAttr(differs, "aria-label", "differs from the version left of it");
  differs.title = "Differs from the version left of it";
  const mark = verdictMark();
  const text = span({ class: "ov-tune-answer", dir: "auto" });
  const el = div(
    { class: "ov-tune-cell", role: "gridcell", "data-version": version },
    differs,
    mark.el,
    text,
  );
  let shown: Cell | undefined | null = null; // nothing yet: not even that a cell is not loaded
  return {
    el,
    show(row: GridRow | undefined, chosen: boolean) {
      const cell = row?.cells.find((one) => one.version === version);
      setAttr(el, "data-chosen", chosen);
      setAttr(el, "aria-busy", row === undefined);
      if (cell === shown) return;
      shown = cell;
      setAttr(el, "data-differs", cell?.differs);
      setAttr(el, "data-error", cell?.answered === true && !cell.ok);
      differs.hidden = !cell?.differs;
      mark.show(cell?.right ?? null);
      el.title = cell?.parts.length
        ? cell.parts.map((part) => `${part.name}: ${part.text}`).join("\n")
        : (cell?.text ?? "");
      text.replaceChildren(
        ...(cell?.parts.length
          ? cell.parts.flatMap(({ name, text, right, differs }) => [
              span(
                {
                  class: "ov-pair",
                  "data-differs": differs,
                  "data-right": right === null ? null : String(right),
                },
                // The sign before the cell says that all are right, or that one is not.
                right === false ? `✗ ${name} ` : `${name} `,
                span({ class: "ov-pair-value", text }),
              ),
              " ",
            ])
          : [cell === undefined ? "" : cell.answered ? cell.text || "(empty)" : "not asked"]),
      );
      text.classList.toggle("ov-label", !cell?.answered);
    },
  };
}

const FILTERS: Record<string, string> = {
  different: "Differ",
  unlabelled: "Unlabelled",
  flipped: "Flips",
};

/** Which samples are shown, and which field. */
function filters(tuning: Tuning): HTMLElement {
  const toggle = (name: string) => {
    const only = tuning.state?.chosen.only ?? [];
    const now = only.includes(name) ? only.filter((one) => one !== name) : [...only, name];
    void tuning.choose({ only: now });
  };
  const toggles = Object.entries(FILTERS).map(([name, text]) => ({
    name,
    el: button(text, () => toggle(name), "ov-tune-toggle"),
  }));
  const titles = [
    "Only samples about which versions differ",
    "Only samples without a label",
    "Only samples where one of the two versions is right and the other wrong",
  ];
  toggles.forEach(({ el }, i) => (el.title = titles[i] ?? ""));
  // Where some answers are text and some have fields, the text is shown with all fields.
  const named = () => tuning.state?.fields.filter(({ name }) => name !== null) ?? [];
  const field = h("select", {
    class: "ov-field",
    "aria-label": "Field",
    on: {
      change: () => {
        void tuning.choose({ field: named()[field.selectedIndex - 1]?.name ?? null });
      },
    },
  });
  const tally = span("ov-label ov-tally");
  let offered = "";
  const render = () => {
    const { state, samples } = tuning;
    if (state === null) return;
    for (const { name, el } of toggles) {
      setAttr(el, "aria-pressed", String(state.chosen.only.includes(name)));
    }
    const names = named().map(({ title }) => title);
    field.hidden = state.fields.length < 2;
    if (names.join("\n") !== offered) {
      offered = names.join("\n");
      field.replaceChildren(...["All fields", ...names].map((text) => h("option", { text })));
    }
    field.selectedIndex = 1 + named().findIndex(({ name }) => name === state.chosen.field);
    const few = state.chosen.only.length > 0 || state.chosen.first !== null;
    const of = few ? ` of ${plural(state.answered, "sample")}` : "";
    setText(
      tally,
      `${few ? samples.length.toLocaleString("en-US") : plural(samples.length, "sample")}${of}, ` +
        `${state.labelled} labelled`,
    );
  };
  tuning.on(["state", "samples"], render);
  return div(
    "ov-tune-filters",
    div({ class: "ov-tune-toggles", role: "group", "aria-label": "Only samples that" }, ...toggles.map(({ el }) => el)),
    field,
    tally,
  );
}
