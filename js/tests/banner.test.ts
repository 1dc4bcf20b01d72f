import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { banner } from "../src/banner";
import { fake, type Fake } from "./fake_session";

let stream: Fake;
let el: HTMLElement;

const show = (traits: Parameters<typeof fake>[0] = {}) => {
  stream = fake(traits);
  el = banner(stream.view);
  stream.view.root.append(el);
};
const alert = () => el.querySelector("[role=alert]")?.textContent;
const note = () => el.querySelector("[role=status]")?.textContent;
const problem = { message: "<img src=x>", advice: "Do this." };

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  stream.end();
  vi.useRealTimers();
});

it("holds nothing where there is nothing to say", () => {
  show();
  stream.welcome();
  stream.status();
  expect(el.querySelectorAll(".ov-notice").length).toBe(0);
});

it("tells the stream's problem as text for as long as it has it, once", () => {
  show();
  stream.welcome();
  stream.status({ state: "failed", problem });
  expect(alert()).toBe("<img src=x> Do this.");
  expect(el.querySelector("img")).toBeNull();
  const line = el.querySelector(".ov-notice");
  stream.status({ state: "failed", problem: { ...problem } });
  expect(el.querySelector(".ov-notice")).toBe(line);
  stream.status({ state: "running" });
  expect(alert()).toBe("");
});

it("tells a failure that the notebook kept", () => {
  show({ state: "failed", status: "failed: the key is not valid" });
  expect(alert()).toBe("the key is not valid Run the cell again to start it anew.");
});

it("says that nobody answers, of a stream that was active, until somebody does", () => {
  show();
  vi.advanceTimersByTime(2400);
  expect(note()).toBe("");
  vi.advanceTimersByTime(200);
  expect(note()).toContain("does not answer");
  stream.welcome();
  expect(note()).toBe("");
});

it("says nothing of a kernel that nobody needs any more", () => {
  show({ state: "ended", status: "ended: end of file" });
  vi.advanceTimersByTime(5000);
  expect(note()).toBe("");
});

it("says that the kernel fell silent", () => {
  show();
  stream.welcome();
  stream.session.setVisible(el, true);
  vi.advanceTimersByTime(12_000);
  expect(note()).toContain("No word from the kernel");
  stream.status();
  expect(note()).toBe("");
});

it("offers what can be done, once, and can be dismissed", () => {
  show();
  const run = vi.fn();
  const notice = {
    level: "info" as const,
    problem,
    action: { label: "Restart", run },
    dismissable: true,
  };
  stream.view.notices.put("update", notice);
  const [act, dismiss] = el.querySelectorAll("button");
  expect(dismiss?.getAttribute("aria-label")).toBe("Dismiss");
  act?.click();
  expect(run).toHaveBeenCalledOnce();
  expect(el.querySelectorAll(".ov-notice").length).toBe(0);
  stream.view.notices.put("update", notice);
  el.querySelectorAll("button")[1]?.click();
  expect(run).toHaveBeenCalledOnce();
  expect(stream.view.notices.all.size).toBe(0);
});

it("cuts a message that would fill the page", () => {
  show();
  stream.view.notices.put("update", {
    level: "error",
    problem: { message: "x".repeat(100_000), advice: "" },
    dismissable: true,
  });
  expect(alert()?.length).toBeLessThan(2000);
});
