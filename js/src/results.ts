/** The answers, newest on top: a filter and a list in which any of them can be found. */

import { button, div, focusOn, h, modified, setAttr, setText, span, taken } from "./dom";
import { filterField } from "./filter_field";
import { clamp, count, plural, shorten } from "./format";
import { currentState } from "./in_force";
import { atEnd, onFrame } from "./later";
import { listingOf, rowNear, type Listing } from "./listing";
import { RowView, type Look } from "./row_view";
import type { Part } from "./view";
import { VirtualList } from "./virtual_list";

/** Rows beyond those in the DOM that are asked for along with them. */
const AHEAD = 12;
/** Rows on both sides of a guess among which a sample's row is looked for. */
const NEAR = 24;

const NO_ROWS: Record<string, string> = {
  starting: "No rows yet: the stream is starting.",
  running: "No rows yet: the first answer is on its way.",
  paused: "No rows yet: the stream is paused.",
};

export const results: Part = ({ session, signal, announce }) => {
  const { rows } = session;
  /** The query that `session.matches` answers; another one is on its way. */
  let matched = session.matches === null ? "" : session.query;
  let listing: Listing = listingOf(session, matched);
  /** Row number of the row that the keys are at. */
  let current: number | null = null;
  /** A selected sample whose row is being looked for, among these. */
  let sought: number | null = null;
  const near = new Set<number>();
  let unseen = 0;
  /** At most once for each picture of the screen, however many messages come. */
  const schedule = onFrame(signal, update);

  const list = new VirtualList({ label: "Results, newest first", signal, slot, rendered });
  const tally = span("ov-label ov-tally");
  const filter = filterField(session, signal);
  const nothing = div("ov-nothing");
  const pill = button("", toTop, "ov-pill");
  const el = h(
    "section",
    { class: "ov-results", "aria-label": "Results" },
    div("ov-results-bar", filter, tally),
    div("ov-list-frame", list.el, nothing, pill),
  );

  function slot() {
    const view = new RowView();
    view.el.addEventListener("click", () => press(view.row));
    return {
      el: view.el,
      show(ordinal: number, index: number) {
        const number = listing.numberOf(ordinal);
        const row = rows.peek(number);
        const below = ordinal > 0 ? rows.peek(listing.numberOf(ordinal - 1)) : undefined;
        const look: Look = {
          index,
          selected: row !== undefined && row.sample === session.selected,
          current: number === current,
          first: !!row && !!below && row.version !== below.version,
        };
        view.show(row, look);
      },
    };
  }

  function rendered(ordinals: number[]): void {
    const [newest] = ordinals;
    const oldest = ordinals.at(-1);
    if (newest === undefined || oldest === undefined) rows.watch(list, []);
    else if (session.connection !== "waiting") {
      const wanted: number[] = [];
      const last = Math.min(newest + AHEAD, listing.count - 1);
      for (let ordinal = Math.max(0, oldest - AHEAD); ordinal <= last; ordinal++) {
        wanted.push(listing.numberOf(ordinal));
      }
      rows.watch(list, wanted);
    }
    const at = current === null ? undefined : list.element(listing.ordinalOf(current));
    setAttr(list.el, "aria-activedescendant", at?.id);
    unseen = Math.min(unseen, list.top > 0 ? list.firstInView : 0);
    pill.hidden = unseen === 0;
    if (unseen > 0) setText(pill, `↑ ${count(unseen)} new`);
  }

  /** Follows the session: which rows there are, and what they say. */
  function update(): void {
    const next = listingOf(session, matched);
    const more = next.count - listing.count;
    const fresh = next.key !== listing.key || more < 0;
    listing = next;
    if (fresh) unseen = 0;
    else if (list.top > 0) unseen += more;
    if (fresh || more > 0) list.resize(next.count, fresh);
    else list.render();
    seek();
    tell();
  }

  function tell(): void {
    const { query } = session;
    const total = count(rows.total);
    const waits = query !== "" && query !== matched;
    if (waits) {
      setText(tally, session.connection === "silent" ? "waiting for the kernel" : "filtering…");
    } else if (query !== "") setText(tally, `${count(listing.count)} of ${total}`);
    else if (listing.count < rows.total) setText(tally, `newest ${listing.count} of ${total}`);
    else setText(tally, plural(rows.total, "row"));
    nothing.hidden = listing.count > 0;
    if (listing.count > 0) return;
    setText(
      nothing,
      query !== "" && !waits
        ? `No row fits “${shorten(query, 60)}”.`
        : (NO_ROWS[currentState(session)] ?? "No rows: the stream was over before an answer came."),
    );
  }

  function toTop(): void {
    list.scrollTo(0);
    focusOn(list.el);
  }

  // ---- selection -------------------------------------------------------------------------------

  /** Brings the row of the sought sample into view, as soon as it is known which it is. */
  function seek(): void {
    if (sought === null) return;
    const row = rows.ofSample(sought);
    if (row === undefined && [...near].some((number) => !rows.peek(number))) return;
    sought = null;
    rows.watch(near, []);
    const ordinal = row ? listing.ordinalOf(row.row) : -1;
    if (row === undefined || ordinal < 0) return;
    current = row.row;
    list.reveal(listing.count - 1 - ordinal);
  }

  function selected(sample: number | null): void {
    sought = sample;
    near.clear();
    const guess = sample === null ? null : rowNear(sample, session.timeline.fates);
    if (guess !== null && session.connection !== "waiting") {
      const end = Math.min(rows.total, guess + NEAR);
      for (let number = Math.max(0, guess - NEAR); number < end; number++) near.add(number);
    }
    rows.watch(near, [...near]);
    seek();
    list.render();
  }

  function toggle(row: RowView["row"]): void {
    if (row === undefined) return;
    session.select(row.sample === session.selected ? null : row.sample);
  }

  function press(row: RowView["row"]): void {
    if (row === undefined) return;
    // The end of a drag over text, which is there to be copied.
    const marked = getSelection();
    if (marked?.isCollapsed === false && list.el.contains(marked.anchorNode)) return;
    current = row.row;
    toggle(row);
    list.render();
  }

  function keys(event: KeyboardEvent): void {
    const last = listing.count - 1;
    if (last < 0 || modified(event)) return;
    const ordinal = current === null ? -1 : listing.ordinalOf(current);
    const index = ordinal < 0 ? list.firstInView - 1 : last - ordinal;
    const to = {
      ArrowDown: index + 1,
      ArrowUp: index - 1,
      PageDown: index + list.page,
      PageUp: index - list.page,
      Home: 0,
      End: last,
    }[event.key];
    if (to !== undefined) {
      const place = clamp(to, 0, last);
      current = listing.numberOf(last - place);
      list.reveal(place);
    } else if (event.key === "Enter" && ordinal >= 0) toggle(rows.peek(listing.numberOf(ordinal)));
    else return;
    taken(event);
  }

  list.el.addEventListener("keydown", keys);
  list.el.addEventListener("focus", () => {
    if (current !== null && list.element(listing.ordinalOf(current))) return;
    current = listing.count > 0 ? listing.numberOf(listing.count - 1 - list.firstInView) : null;
    list.render();
  });
  session.on(["rows", "status", "connection"], schedule, signal);
  session.on("selected", selected, signal);
  session.on(
    "matches",
    (matches) => {
      const news = matched !== session.query;
      matched = matches === null ? "" : session.query;
      update();
      if (matches !== null && news) announce(`${plural(matches.length, "row")} found`);
      if (matches === null && session.selected !== null) selected(session.selected);
    },
    signal,
  );
  atEnd(signal, () => {
    rows.watch(list, []);
    rows.watch(near, []);
  });
  list.resize(listing.count, true);
  tell();
  if (session.selected !== null) selected(session.selected);
  return el;
};
