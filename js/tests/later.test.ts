import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Later, onFrame } from "../src/later";

let ending: AbortController;
const call = vi.fn();

beforeEach(() => {
  vi.useFakeTimers();
  ending = new AbortController();
  call.mockClear();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a later call", () => {
  it("comes once, after the last time it was set", () => {
    const later = new Later(ending.signal);
    const replaced = vi.fn();
    later.set(100, replaced);
    vi.advanceTimersByTime(99);
    later.set(100, call);
    vi.advanceTimersByTime(99);
    expect([later.due, call.mock.calls.length]).toEqual([true, 0]);
    vi.advanceTimersByTime(1);
    expect([later.due, call.mock.calls.length]).toEqual([false, 1]);
    expect(replaced).not.toHaveBeenCalled();
  });

  it("does not come when it is cancelled, or when its view has gone", () => {
    const later = new Later(ending.signal);
    later.set(100, call);
    later.cancel();
    expect(later.due).toBe(false);
    later.set(100, call);
    ending.abort();
    vi.advanceTimersByTime(1000);
    expect(call).not.toHaveBeenCalled();
  });

  it("may set itself again", () => {
    const later = new Later(ending.signal);
    later.set(100, () => later.set(100, call));
    vi.advanceTimersByTime(200);
    expect(call).toHaveBeenCalledOnce();
  });
});

describe("drawing with the screen", () => {
  it("happens once, however often it is asked for, and then again", () => {
    const draw = onFrame(ending.signal, call);
    draw();
    draw();
    vi.advanceTimersByTime(50);
    expect(call).toHaveBeenCalledOnce();
    draw();
    vi.advanceTimersByTime(50);
    expect(call).toHaveBeenCalledTimes(2);
  });

  it("does not happen when its view has gone", () => {
    onFrame(ending.signal, call)();
    ending.abort();
    vi.advanceTimersByTime(50);
    expect(call).not.toHaveBeenCalled();
  });
});
