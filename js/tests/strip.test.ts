import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Figures } from "../src/messages";
import { dollars, dropsOf, strip } from "../src/strip";
import { fake, type Fake } from "./fake_session";
import { row } from "./rows";

const FIGURES: Figures = {
  samples: 1250,
  results: 1204,
  errors: 0,
  drops: {},
  waiting: 2,
  in_flight: 1,
  latency_p50_ms: 171.4,
  latency_p95_ms: 1234,
  total_tokens: 385_920,
  completion_tokens: 49_446,
  cost_cents: null,
};

describe("money", () => {
  it("keeps two digits that mean something", () => {
    expect([0, 0.012, 1.234, 7, 34.6, 99.6, 100, 1234567].map(dollars)).toEqual([
      "$0.00",
      "$0.00012",
      "$0.012",
      "$0.07",
      "$0.35",
      "$1.00",
      "$1.00",
      "$12,345.67",
    ]);
  });
});

describe("drops", () => {
  it("are counted by reason, the most frequent first", () => {
    const drops = { late: 2, "replaced by a newer sample": 30, never: 0 };
    expect(dropsOf({ ...FIGURES, drops })).toEqual({
      total: 32,
      reasons: [
        ["replaced by a newer sample", 30],
        ["late", 2],
      ],
    });
  });
});

describe("the strip", () => {
  let ov: Fake;
  let el: HTMLElement;
  const open = (traits = {}) => {
    ov = fake(traits);
    el = strip(ov.view);
    ov.view.root.append(el);
  };
  /** "Results 1,204" and so on: the figures that are not hidden. */
  const texts = () =>
    [...el.querySelectorAll<HTMLElement>(".ov-figure")]
      .filter((figure) => !figure.hidden)
      .map((figure) => {
        const text = (kind: string) => figure.querySelector(kind)?.textContent;
        return `${text(".ov-label")} ${text(".ov-figure-value")}`;
      });

  beforeEach(() => open());
  afterEach(() => ov.end());

  it("shows the figures of the stream", () => {
    ov.welcome();
    ov.status({ figures: FIGURES, latencies: [100, 200, 300] });
    expect(texts()).toEqual([
      "Results 1,204",
      "Errors 0",
      "Drops 0",
      "In flight 1",
      "Waiting 2",
      "p50 171 ms",
      "p95 1.23 s",
      "Tokens 385.9k",
    ]);
    expect(el.querySelector("svg")?.getAttribute("aria-label")).toBe(
      "Latency of the last 3 answers, median 200 ms",
    );
    const title = el.querySelector('[title*="385,920"]')?.getAttribute("title");
    expect(title).toContain("49,446");
  });

  it("shows a cost where there is one", () => {
    ov.status({ figures: { ...FIGURES, cost_cents: 1.234 } });
    expect(texts()).toContain("Cost $0.012");
    ov.status({ figures: FIGURES });
    expect(texts().join()).not.toContain("Cost");
  });

  it("marks errors only when there are any", () => {
    const errors = () => el.querySelector('[data-kind="error"]')?.hasAttribute("data-some");
    ov.status({ figures: FIGURES });
    expect(errors()).toBe(false);
    ov.status({ figures: { ...FIGURES, errors: 3 } });
    expect(errors()).toBe(true);
  });

  it("shows what the notebook holds while no kernel answers, and nothing under way", () => {
    ov.end();
    const copies = [row(1, { latency_ms: null }), row(2, { latency_ms: null })];
    open({ figures: FIGURES, recent: [row(0, { latency_ms: 250 }), ...copies] });
    expect(texts()).toContain("Results 1,204");
    expect(texts().join()).not.toMatch(/In flight|Waiting/);
    expect(el.querySelector("svg")?.getAttribute("aria-label")).toContain("250 ms");
  });

  it("has nothing under way when the stream is over", () => {
    ov.status({ figures: FIGURES, state: "ended" });
    expect(texts().join()).not.toMatch(/In flight|Waiting/);
  });

  it("says why samples were dropped, by mouse and keys", () => {
    ov.status({ figures: { ...FIGURES, drops: { "<b>late</b>": 12 } } });
    const drops = el.querySelector("details");
    if (!drops) throw new Error("no drops");
    expect(drops.querySelector(".ov-reasons")?.textContent).toBe("<b>late</b>12");
    expect(drops.open).toBe(false);
    drops.open = true;
    let left = false;
    ov.view.root.addEventListener("keydown", () => (left = true));
    const press = (key: string) =>
      drops.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    press("Escape");
    expect(drops.open).toBe(false);
    press(" ");
    expect(left).toBe(false); // space would pause the stream
    press("Escape");
    expect(left).toBe(true); // there is nothing to close: it is for others
    drops.open = true;
    drops.dispatchEvent(new FocusEvent("focusout", { bubbles: true }));
    expect(drops.open).toBe(false);
  });

  it("touches nothing when nothing changed", async () => {
    ov.status({ figures: FIGURES, latencies: [1, 2] });
    const changes: MutationRecord[] = [];
    const observer = new MutationObserver((records) => changes.push(...records));
    observer.observe(el, { subtree: true, childList: true, characterData: true });
    ov.status({ figures: { ...FIGURES }, latencies: [1, 2] });
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(changes).toEqual([]);
    ov.status({ figures: { ...FIGURES, results: 1205 }, latencies: [1, 2] });
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(changes.length).toBeGreaterThan(0);
    observer.disconnect();
  });
});
