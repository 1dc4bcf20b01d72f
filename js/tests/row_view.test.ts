import { beforeEach, describe, expect, it } from "vitest";
import { RowView, cellsOf, type Look } from "../src/row_view";
import { row } from "./rows";

const LOOK: Look = { index: 0, selected: false, current: false, first: false };
const HOSTILE = '<img src=x onerror="window.pwned=1"><script>1</script>';

describe("the texts of a row", () => {
  it("are those of its answer", () => {
    const shown = row(3, { media_time: 12.5, latency_ms: 1250, tokens: 1312, version: 2 });
    expect(cellsOf(shown)).toEqual({
      time: "0:12.5",
      answer: "answer 3",
      chips: null,
      latency: "1.25 s",
      tokens: "1,312 tok",
      version: "v2",
    });
  });

  it("are those of its error", () => {
    const failed = row(0, { ok: false, text: "", error: "RateLimitError: wait", chips: [] });
    const cells = cellsOf(failed);
    expect(cells.answer).toBe("RateLimitError: wait");
    expect(cells.chips).toBeNull();
  });

  it("are bounded", () => {
    expect(cellsOf(row(0, { text: "x".repeat(100_000) })).answer.length).toBeLessThan(1000);
    expect(cellsOf(row(0, { ok: false, error: "x".repeat(100_000) })).answer.length).toBeLessThan(
      1000,
    );
    expect(cellsOf(row(0, { text: "short", cut: true })).answer).toBe("short…");
  });

  it("leave out tokens that are not known", () => {
    expect(cellsOf(row(0, { tokens: null })).tokens).toBe("");
  });

  it("have no latency of an answer that is a copy", () => {
    expect(cellsOf(row(0, { latency_ms: null })).latency).toBe("–");
  });
});

describe("the element", () => {
  let view: RowView;
  const answer = () => view.el.querySelector(".ov-result-text");
  beforeEach(() => {
    view = new RowView();
  });

  it("shows markup as text", () => {
    view.show(row(0, { text: HOSTILE }), LOOK);
    expect(answer()?.textContent).toBe(HOSTILE);
    view.show(row(1, { chips: [[HOSTILE, HOSTILE]] }), LOOK);
    expect(answer()?.textContent).toBe(`${HOSTILE} ${HOSTILE} `);
    view.show(row(2, { ok: false, error: HOSTILE }), LOOK);
    expect(answer()?.textContent).toBe(HOSTILE);
    expect(view.el.querySelector("img, script")).toBeNull();
  });

  it("shows fields of an answer, null among them", () => {
    const chips: [string, string][] = [
      ["home", "39"],
      ["clock", "null"],
    ];
    view.show(row(0, { chips }), LOOK);
    const texts = [...view.el.querySelectorAll(".ov-pair")].map((pair) => pair.textContent);
    expect(texts).toEqual(["home 39", "clock null"]);
    expect(view.el.querySelector(".ov-pair-null")?.textContent).toBe("null");
    view.show(row(1), LOOK);
    expect(answer()?.textContent).toBe("answer 1");
  });

  it("stays small with thousands of fields", () => {
    const chips = Array.from({ length: 5000 }, (_, i): [string, string] => [
      `k${i}`,
      "v".repeat(5000),
    ]);
    view.show(row(0, { chips }), LOOK);
    expect(view.el.querySelectorAll("*").length).toBeLessThan(100);
    expect(view.el.textContent?.length).toBeLessThan(20_000);
  });

  it("leaves nothing of the row before", () => {
    view.show(row(0, { ok: false, error: "no" }), { ...LOOK, selected: true, first: true });
    expect(view.el.hasAttribute("data-error")).toBe(true);
    view.show(row(1), LOOK);
    expect(view.el.hasAttribute("data-error")).toBe(false);
    expect(view.el.hasAttribute("data-first")).toBe(false);
    expect(view.el.getAttribute("aria-selected")).toBe("false");
    view.show(undefined, LOOK);
    expect(view.el.textContent).toBe("");
    expect(view.el.getAttribute("aria-busy")).toBe("true");
    view.show(row(2), LOOK);
    expect(view.el.hasAttribute("aria-busy")).toBe(false);
  });

  it("says where it is in the list", () => {
    view.show(row(0), { ...LOOK, index: 41 });
    expect(view.el.getAttribute("aria-rowindex")).toBe("42");
    expect(view.el.querySelectorAll('[role="gridcell"]')).toHaveLength(5);
  });

  it("says that an answer is empty", () => {
    view.show(row(0, { text: "" }), LOOK);
    expect(answer()?.textContent).toBe("(empty answer)");
    expect(answer()?.hasAttribute("data-empty")).toBe(true);
  });
});
