import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { allowed, header, reason } from "../src/header";
import { fake, type Fake } from "./fake_session";

let stream: Fake;
let el: HTMLElement;

const button = (name: string) =>
  el.querySelector(`button[aria-label=${name}]`) as HTMLButtonElement | null;
const answer = async (ok: boolean) => {
  const { request } = stream.last("control");
  const { page } = stream.session;
  const problem = { message: "cannot pause", advice: "It is over." };
  stream.say(
    ok
      ? { kind: "done", page, request }
      : { kind: "refused", page, request, problem, restart: false },
  );
  await vi.advanceTimersByTimeAsync(0);
};

beforeEach(() => {
  vi.useFakeTimers();
  stream = fake({ source: "/films/of/a/very/long/way/down/basketball.mp4" });
  el = header(stream.view);
  stream.view.root.append(el);
});
afterEach(() => {
  stream.end();
  vi.useRealTimers();
});

it("says what is known before the kernel does, with nothing to press", () => {
  expect(el.querySelector(".ov-state")?.textContent).toBe("running");
  expect(el.querySelector(".ov-model")?.textContent).toBe("local/read");
  expect([...el.querySelectorAll("button")].every(({ disabled }) => disabled)).toBe(true);
});

it("does not call running what nobody answers for, and believes it again when it is heard", () => {
  vi.advanceTimersByTime(2600);
  expect(el.querySelector(".ov-state")?.textContent).toBe("was running");
  stream.welcome();
  expect(el.querySelector(".ov-state")?.textContent).toBe("running");
});

it("keeps the whole source, and its end in sight", () => {
  const source = el.querySelector(".ov-source") as HTMLElement;
  expect(source.title).toBe("/films/of/a/very/long/way/down/basketball.mp4");
  expect(source.textContent).toBe(source.title);
  expect(source.lastElementChild?.textContent).toBe("basketball.mp4");
});

describe("the buttons", () => {
  beforeEach(() => {
    stream.welcome();
    stream.status();
  });

  it("pause and go on with one button, one request at a time", async () => {
    button("Pause")?.click();
    button("Pause")?.click();
    button("Stop")?.click();
    expect(stream.sent.filter(({ kind }) => kind === "control").length).toBe(1);
    expect(stream.last("control").action).toBe("pause");
    expect(button("Pause")?.getAttribute("aria-disabled")).toBe("true");
    await answer(true);
    stream.status({ state: "paused", status: "paused" });
    expect(button("Pause")).toBeNull();
    button("Resume")?.click();
    expect(stream.last("control").action).toBe("resume");
  });

  it("tell a failure in the banner", async () => {
    button("Stop")?.click();
    await answer(false);
    expect(stream.view.notices.all.get("control")).toMatchObject({
      level: "error",
      problem: { message: "cannot pause" },
    });
    button("Stop")?.click();
    expect(stream.view.notices.all.has("control")).toBe(false);
  });

  it("leave only a restart when it is over, and hand it the focus", () => {
    button("Stop")?.focus();
    stream.status({ state: "closed", status: "closed: closed by its user" });
    expect([button("Pause")?.disabled, button("Stop")?.disabled]).toEqual([true, true]);
    expect(button("Restart")?.disabled).toBe(false);
    expect(document.activeElement).toBe(button("Restart"));
    expect(el.querySelector(".ov-reason")?.textContent).toBe("closed by its user");
  });
});

it("allows by state, and nothing without a kernel", () => {
  expect(allowed("starting", "live")).toEqual({ toggle: false, stop: true, restart: true });
  expect(allowed("failed", "live")).toEqual({ toggle: false, stop: false, restart: true });
  for (const connection of ["silent", "waiting"] as const) {
    expect(Object.values(allowed("running", connection))).toEqual([false, false, false]);
  }
});

it("tells a reason from a state", () => {
  expect(reason("ended", "ended: end of file")).toBe("end of file");
  expect(reason("running", "running")).toBe("");
});
