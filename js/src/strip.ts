/** The figures of the stream in one calm line. */

import { div, fill, h, setAttr, setText, span } from "./dom";
import { count, latency, short } from "./format";
import { currentFigures, isActive } from "./in_force";
import type { Figures } from "./messages";
import { sparkline } from "./sparkline";
import type { Part } from "./view";

/** Answers whose latencies the sparkline shows. */
const LATENCIES = 60;

/** Dollars of so many cents: $0.012, $12.34. Small sums keep two digits that mean something. */
export function dollars(cents: number): string {
  return (cents / 100).toLocaleString("en-US", {
    style: "currency",
    currency: "USD",
    ...(cents > 0 && cents < 99.5 ? { maximumSignificantDigits: 2 } : {}),
  });
}

/** How many samples were dropped, and why, the most frequent reason first. */
export function dropsOf(figures: Figures): { total: number; reasons: [string, number][] } {
  const reasons = Object.entries(figures.drops).filter(([, n]) => n > 0);
  reasons.sort(([a, m], [b, n]) => n - m || a.localeCompare(b));
  return { total: reasons.reduce((sum, [, n]) => sum + n, 0), reasons };
}

/** One figure: its name and its value. */
function figure(name: string, kind: string | null = null) {
  const value = span("ov-figure-value");
  const label = span({ class: "ov-label", text: name });
  return { el: span({ class: "ov-figure", "data-kind": kind }, label, " ", value), value };
}

const group = (...figures: Node[]) => div("ov-figure-group", ...figures);

export const strip: Part = ({ session, signal }) => {
  const results = figure("Results", "result");
  const errors = figure("Errors", "error");
  const drops = dropFigure();
  const inFlight = figure("In flight");
  const waiting = figure("Waiting");
  const p50 = figure("p50");
  const p95 = figure("p95");
  p50.el.title = "Median latency";
  p95.el.title = "95 % of answers came within";
  const tokens = figure("Tokens");
  const cost = figure("Cost");
  const spark = sparkline(LATENCIES);
  const el = div(
    { class: "ov-strip", role: "group", "aria-label": "Figures" },
    group(results.el, errors.el, drops.el, inFlight.el, waiting.el),
    group(p50.el, p95.el, spark.el),
    group(tokens.el, cost.el),
  );

  const show = () => {
    const { status } = session;
    const figures = currentFigures(session);
    setText(results.value, count(figures.results));
    setText(errors.value, count(figures.errors));
    setAttr(errors.el, "data-some", figures.errors > 0);
    drops.show(dropsOf(figures));
    // Of a stream that is over, or of another time, nothing is on its way.
    inFlight.el.hidden = waiting.el.hidden = !isActive(status?.state ?? "closed");
    setText(inFlight.value, count(figures.in_flight));
    setText(waiting.value, count(figures.waiting));
    const { latency_p50_ms: middle, latency_p95_ms: high } = figures;
    setText(p50.value, latency(middle));
    setText(p95.value, latency(high));
    const recent = session.model.get("recent").flatMap((row) => row.latency_ms ?? []);
    const latencies = status?.latencies ?? recent;
    spark.show(latencies, middle, high);
    setText(tokens.value, short(figures.total_tokens));
    const all = count(figures.total_tokens);
    tokens.el.title = `${all} in all, ${count(figures.completion_tokens)} of them in answers`;
    cost.el.hidden = figures.cost_cents === null;
    setText(cost.value, dollars(figures.cost_cents ?? 0));
  };
  session.on("status", show, signal);
  show();
  return el;
};

/** Drops, which open to tell their reasons. */
function dropFigure() {
  const { el: words, value } = figure("Drops", "drop");
  const list = div("ov-reasons");
  const close = () => {
    el.open = false;
  };
  const on = {
    focusout: close,
    keydown: (event: KeyboardEvent) => {
      if (event.key === " " || event.key === "Enter") event.stopPropagation();
      if (event.key !== "Escape" || !el.open) return;
      close();
      event.stopPropagation();
    },
    toggle: () => {
      // As far to the right as there is room in the widget.
      list.style.translate = "";
      const edge = el.closest(".ov-strip")?.getBoundingClientRect().right ?? Infinity;
      const over = list.getBoundingClientRect().right - edge + 8;
      if (over > 0) list.style.translate = `${-over}px`;
    },
  };
  const el = h("details", { class: "ov-drops", on }, h("summary", {}, words), list);
  let shown = "";
  return {
    el,
    show({ total, reasons }: ReturnType<typeof dropsOf>) {
      setText(value, count(total));
      setAttr(words, "data-some", total > 0);
      const now = JSON.stringify(reasons);
      if (now === shown) return;
      shown = now;
      const lines = reasons.map(([reason, n]) => div({}, reason, h("b", { text: count(n) })));
      fill(list, ...(total ? lines : ["No sample was dropped."]));
    },
  };
}
