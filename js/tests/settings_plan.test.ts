import { describe, expect, it } from "vitest";
import { plan, rates, type Edits } from "../src/settings_plan";
import { LIMITS, SETTINGS } from "./fake_session";

const LIVE = new Set(["model", "interval_seconds", "max_output_tokens"]);
const planned = (edits: Edits, live = (name: string) => LIVE.has(name)) =>
  plan(edits, SETTINGS, LIMITS, live);

describe("what becomes of edits", () => {
  it("changes nothing without any", () => {
    const { now, later, errors, texts } = planned({});
    expect({ now, later, errors }).toEqual({ now: {}, later: {}, errors: {} });
    expect(texts).toEqual({ interval_seconds: "0.5", max_output_tokens: "" });
  });

  it("sends at once what a running stream takes", () => {
    const edits = { interval_seconds: "2", model: " big/slow ", max_output_tokens: "64" };
    expect(planned(edits).now).toEqual({
      interval_seconds: 2,
      model: "big/slow",
      max_output_tokens: 64,
    });
    expect(planned(edits).later).toEqual({});
  });

  it("keeps for a restart what it does not, and everything when it is over", () => {
    const over = planned({ interval_seconds: "2" }, () => false);
    expect([over.now, over.later]).toEqual([{}, { interval_seconds: 2 }]);
  });

  it("gives another mode all its numbers, by default where none was typed", () => {
    const edits: Edits = { mode: "clip", target_fps: "10", interval_seconds: "9" };
    const { later, now, texts } = planned(edits);
    expect(later).toEqual({
      mode: "clip",
      target_fps: 10,
      clip_length_seconds: 0.5,
      delay_seconds: 0.5,
    });
    expect(now).toEqual({});
    expect(texts.interval_seconds).toBeUndefined();
  });

  it("holds back what is wrong, and only that", () => {
    const { now, errors } = planned({ interval_seconds: "99", max_output_tokens: "10" });
    expect(now).toEqual({ max_output_tokens: 10 });
    expect(Object.keys(errors)).toEqual(["interval_seconds"]);
    expect(planned({ model: "  " }).errors.model).toBe("A model is needed");
  });

  it("wants enough frames of a clip", () => {
    const edits: Edits = { mode: "clip", target_fps: "10", clip_length_seconds: "0.29" };
    expect(planned(edits).errors.clip_length_seconds).toBe("2 frames a clip: at least 3");
    expect(planned({ ...edits, clip_length_seconds: "0.3" }).errors).toEqual({});
  });

  it("takes a limit of tokens away with an empty field", () => {
    const settings = { ...SETTINGS, max_output_tokens: 128 };
    expect(plan({ max_output_tokens: " " }, settings, LIMITS, () => true).now).toEqual({
      max_output_tokens: null,
    });
  });

  it("shows what the notebook kept while no kernel told the limits", () => {
    const { texts, errors, now, later } = plan({}, SETTINGS, null, () => false);
    expect(texts.interval_seconds).toBe("0.5");
    expect({ errors, now, later }).toEqual({ errors: {}, now: {}, later: {} });
  });
});

describe("rates", () => {
  const figures = {
    samples: 10,
    results: 10,
    errors: 0,
    drops: {},
    waiting: 0,
    in_flight: 0,
    latency_p50_ms: null,
    latency_p95_ms: null,
    total_tokens: 3200,
    completion_tokens: 100,
    cost_cents: null,
  };

  it("follow what is typed, and tell allowed from measured", () => {
    expect(rates(planned({ interval_seconds: "0.25", max_output_tokens: "128" }), figures)).toBe(
      "4 requests/s · up to 512 output tokens/s · ≈ 1,280 tokens/s measured (320 an answer)",
    );
  });

  it("measure nothing before the first answer, and count clips by their delay", () => {
    const clip = planned({ mode: "clip", delay_seconds: "4" });
    expect(rates(clip, { ...figures, results: 0 })).toBe("0.25 requests/s");
    expect(rates(planned({ interval_seconds: "0" }), figures)).toBe("");
  });
});
