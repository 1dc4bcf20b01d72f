/** The figures of the stream in one calm line. */

import { fill, h, setAttr, setText } from "./dom";
import { count, latency, short } from "./format";
import type { Figures } from "./messages";
import { sparkline } from "./sparkline";
import type { Part } from "./view";

/** Answers whose latencies the sparkline shows. */
const LATENCIES = 60;

/** Dollars of so many cents: $0.012, $12.34. Small sums keep two digits that mean something. */
export function dollars(cents: number): string {
  const sum = cents / 100;
  if (sum > 0 && sum < 0.0001) return "< $0.0001";
  if (sum === 0 || sum >= 1) {
    return `$${sum.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
  }
  return `$${Number(sum.toPrecision(2)).toFixed(sum < 0.1 ? -Math.floor(Math.log10(sum)) + 1 : 2)}`;
}

/** How many samples were dropped, and why, the most frequent reason first. */
export function dropsOf(figures: Figures): { total: number; reasons: [string, number][] } {
  const reasons = Object.entries(figures.drops).filter(([, n]) => n > 0);
  reasons.sort(([a, m], [b, n]) => n - m || a.localeCompare(b));
  return { total: reasons.reduce((sum, [, n]) => sum + n, 0), reasons };
}

/** One figure: its name and its value. */
function figure(name: string, kind = "") {
  const value = h("span", { class: "ov-figure-value" });
  const el = h(
    "span",
    { class: "ov-figure", data: kind ? { kind } : {} },
    h("span", { class: "ov-label", text: name }),
    " ",
    value,
  );
  return { el, value };
}

export const strip: Part = ({ session, signal }) => {
  const results = figure("Results", "result");
  const errors = figure("Errors", "error");
  const drops = dropFigure(signal);
  const inFlight = figure("In flight");
  const waiting = figure("Waiting");
  const p50 = figure("p50");
  const p95 = figure("p95");
  p50.el.title = "Half of the newest answers took at most this long";
  p95.el.title = "19 of 20 of the newest answers took at most this long";
  const tokens = figure("Tokens");
  const cost = figure("Cost");
  const spark = sparkline(LATENCIES);
  const el = h(
    "div",
    { class: "ov-strip", attrs: { role: "group", "aria-label": "Figures" } },
    h("div", { class: "ov-figure-group" }, results.el, errors.el, drops.el, inFlight.el, waiting.el),
    h("div", { class: "ov-figure-group" }, p50.el, p95.el, spark.el),
    h("div", { class: "ov-figure-group" }, tokens.el, cost.el),
  );

  const show = () => {
    const { status, model } = session;
    const figures = status?.figures ?? model.get("figures");
    setText(results.value, count(figures.results));
    setText(errors.value, count(figures.errors));
    setAttr(errors.el, "data-some", figures.errors > 0);
    drops.show(dropsOf(figures));
    // Of a stream that is over, or of another time, nothing is on its way.
    const state = status?.state ?? "closed";
    const active = state === "starting" || state === "running" || state === "paused";
    inFlight.el.hidden = waiting.el.hidden = !active;
    setText(inFlight.value, count(figures.in_flight));
    setText(waiting.value, count(figures.waiting));
    const { latency_p50_ms: middle, latency_p95_ms: high } = figures;
    setText(p50.value, middle === null ? "–" : latency(middle));
    setText(p95.value, high === null ? "–" : latency(high));
    const latencies = status?.latencies ?? model.get("recent").map((row) => row.latency_ms);
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

/** Drops, with a button that says why. */
function dropFigure(signal: AbortSignal) {
  const { el, value } = figure("Drops", "drop");
  const id = `ov-drops-${Math.random().toString(36).slice(2, 8)}`;
  const list = h("div", { class: "ov-reasons", attrs: { id, role: "status", hidden: true } });
  const button = h(
    "button",
    { class: "ov-drops", attrs: { type: "button", "aria-expanded": "false", "aria-controls": id } },
    ...el.childNodes,
  );
  el.append(button, list);
  let shown = "";
  const open = (wanted: boolean) => {
    list.hidden = !wanted;
    button.setAttribute("aria-expanded", String(wanted));
    if (!wanted) return;
    // As far to the right as there is room in the widget.
    list.style.translate = "";
    const strip = el.closest(".ov-strip") ?? el;
    const over = list.getBoundingClientRect().right - strip.getBoundingClientRect().right + 8;
    if (over > 0) list.style.translate = `${-over}px`;
  };
  button.addEventListener("click", () => open(list.hidden));
  el.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || list.hidden) return;
    open(false);
    event.stopPropagation();
  });
  document.addEventListener(
    "pointerdown",
    (event) => {
      if (!list.hidden && !event.composedPath().includes(el)) open(false);
    },
    { signal },
  );
  return {
    el,
    show({ total, reasons }: ReturnType<typeof dropsOf>) {
      setText(value, count(total));
      setAttr(el, "data-some", total > 0);
      const words = JSON.stringify(reasons);
      if (words === shown) return;
      shown = words;
      if (total === 0) setText(list, "No sample was dropped.");
      else {
        fill(
          list,
          ...reasons.map(([reason, n]) =>
            h("div", {}, h("span", { text: reason, attrs: { dir: "auto" } }), h("b", { text: count(n) })),
          ),
        );
      }
    },
  };
}
