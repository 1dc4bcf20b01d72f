import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { settingsForm } from "../src/settings_form";
import { fake, SETTINGS, type Fake } from "./fake_session";

let stream: Fake;
let el: HTMLElement;

const field = (label: string) => {
  const found = [...el.querySelectorAll("label")].find(({ textContent }) => textContent === label);
  return el.querySelector(`#${found?.htmlFor}`) as HTMLInputElement;
};
const row = (label: string) => field(label).closest(".ov-setting") as HTMLElement;
const wrong = (label: string) => row(label).querySelector(".ov-wrong")?.textContent;
const enter = (label: string, text: string) => {
  const input = field(label);
  input.value = text;
  input.dispatchEvent(new Event("input"));
  input.dispatchEvent(new Event("change"));
};
const mode = (value: string) => el.querySelector(`input[value=${value}]`) as HTMLInputElement;
const choose = (value: string) => {
  mode(value).checked = true;
  mode(value).dispatchEvent(new Event("change"));
};
const pending = () => el.querySelector(".ov-pending") as HTMLElement;
const button = (name: string) =>
  [...el.querySelectorAll("button")].find(
    (found) => found.textContent === name && found.closest("[hidden]") === null,
  );
const updates = () => stream.sent.filter(({ kind }) => kind === "update");
const settle = () => vi.advanceTimersByTimeAsync(0);
const done = async () => {
  stream.say({ kind: "done", page: stream.session.page, request: stream.last("update").request });
  await settle();
};
const refuse = async (message: string, restart = false) => {
  const { request } = stream.last("update");
  const problem = { message, advice: "" };
  stream.say({ kind: "refused", page: stream.session.page, request, problem, restart });
  await settle();
};

beforeEach(() => {
  vi.useFakeTimers();
  stream = fake();
  el = settingsForm(stream.view);
  stream.view.root.append(el);
  stream.welcome();
  stream.status();
});
afterEach(() => {
  stream.end();
  vi.useRealTimers();
});

it("is unchangeable, and right, while no kernel answers", () => {
  const dead = fake();
  const form = settingsForm(dead.view) as HTMLFieldSetElement;
  expect(form.disabled).toBe(true);
  expect((form.querySelector(".ov-number") as HTMLInputElement).value).toBe("0.5");
  expect(form.querySelector("option")?.textContent).toBe("local/read");
  dead.end();
});

describe("a number", () => {
  it("shows its range, and what it comes to", () => {
    expect(row("Interval").textContent).toContain("0 < x ≤ 60 s");
    expect(el.querySelector(".ov-rates")?.textContent).toBe("2 requests/s");
    field("Interval").value = "4";
    field("Interval").dispatchEvent(new Event("input"));
    expect(el.querySelector(".ov-rates")?.textContent).toBe("0.25 requests/s");
    expect(updates()).toEqual([]);
  });

  it("is sent when it is entered, and ticked when it is in force", async () => {
    enter("Interval", "2");
    expect(stream.last("update")).toMatchObject({
      changes: { interval_seconds: 2 },
      restart: false,
    });
    stream.status(); // of before
    expect(field("Interval").value).toBe("2");
    await done();
    expect(stream.spoken).toEqual(["Interval applied"]);
    expect(field("Interval").value).toBe("2");
    stream.status({ settings: { ...SETTINGS, interval_seconds: 3 } });
    expect(field("Interval").value).toBe("3");
  });

  it("is not sent when it is out of range, and says so", () => {
    enter("Interval", "61");
    expect(wrong("Interval")).toBe("Must be a number, 0 < x ≤ 60 s");
    expect(field("Interval").getAttribute("aria-invalid")).toBe("true");
    expect(updates()).toEqual([]);
    field("Interval").dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }));
    expect(field("Interval").value).toBe("0.5");
    expect(wrong("Interval")).toBe("");
  });

  it("is not called wrong before it is entered", () => {
    for (const text of ["0", "0.2"]) {
      field("Interval").value = text;
      field("Interval").dispatchEvent(new Event("input"));
      expect(wrong("Interval")).toBe("");
    }
  });

  it("is kept while it is typed, whatever the kernel says", () => {
    field("Interval").value = "1.2";
    field("Interval").dispatchEvent(new Event("input"));
    stream.status({ settings: { ...SETTINGS, interval_seconds: 7 } });
    expect(field("Interval").value).toBe("1.2");
  });

  it("goes one after the other: a change made meanwhile is sent afterwards", async () => {
    enter("Interval", "2");
    enter("Interval", "3");
    enter("Interval", "4");
    expect(updates().length).toBe(1);
    await done();
    expect(updates().length).toBe(2);
    expect(stream.last("update").changes).toEqual({ interval_seconds: 4 });
    await done();
    expect(updates().length).toBe(2);
  });

  it("that was refused is not sent again with the next, but when it is entered again", async () => {
    enter("Max output tokens", "9999");
    await refuse("at most 64 at this interval");
    expect(wrong("Max output tokens")).toBe("at most 64 at this interval");
    expect(field("Max output tokens").value).toBe("9999");
    enter("Interval", "1");
    expect(stream.last("update").changes).toEqual({ interval_seconds: 1 });
    await done();
    enter("Max output tokens", "9999");
    expect(stream.last("update").changes).toEqual({ max_output_tokens: 9999 });
  });

  it("keeps its keys from the notebook", () => {
    const seen = vi.fn();
    document.body.addEventListener("keydown", seen);
    field("Interval").dispatchEvent(new KeyboardEvent("keydown", { key: "d", bubbles: true }));
    expect(seen).not.toHaveBeenCalled();
    document.body.removeEventListener("keydown", seen);
  });
});

describe("what needs a restart", () => {
  it("waits for it, with the numbers of its mode", async () => {
    expect(pending().hidden).toBe(true);
    choose("clip");
    expect(updates()).toEqual([]);
    expect(pending().hidden).toBe(false);
    expect(pending().textContent).toContain("clip mode");
    expect(row("Interval").hidden).toBe(true);
    enter("Clip length", "1.5");
    button("Restart")?.click();
    expect(stream.last("update")).toMatchObject({
      changes: { mode: "clip", target_fps: 6, clip_length_seconds: 1.5, delay_seconds: 0.5 },
      restart: true,
    });
    await done();
    expect(pending().hidden).toBe(true);
    expect(mode("clip").checked).toBe(true);
  });

  it("is not restarted with while a number is wrong", () => {
    choose("clip");
    enter("Clip length", "0.2");
    expect(wrong("Clip length")).toBe("1 frame a clip: at least 3");
    expect(button("Restart")?.disabled).toBe(true);
  });

  it("can be discarded, by its button or by choosing what is in force", () => {
    choose("clip");
    button("Discard")?.click();
    expect(mode("frame").checked).toBe(true);
    expect(pending().hidden).toBe(true);
    choose("clip");
    choose("frame");
    expect(pending().hidden).toBe(true);
  });

  it("is everything when the stream is over", () => {
    stream.status({ state: "ended", status: "ended: end of file" });
    enter("Interval", "2");
    expect(updates()).toEqual([]);
    expect(pending().textContent).toContain("interval");
  });

  it("and was refused for it is offered by the banner", async () => {
    enter("Interval", "2");
    await refuse("interval_seconds cannot change", true);
    const notice = stream.view.notices.all.get("update");
    expect(notice?.action?.label).toBe("Restart with these values");
    notice?.action?.run();
    expect(stream.last("update")).toMatchObject({
      changes: { interval_seconds: 2 },
      restart: true,
    });
    await done();
    stream.status({ settings: { ...SETTINGS, interval_seconds: 2 } });
    expect(wrong("Interval")).toBe("");
  });
});

describe("the model", () => {
  const models = [
    { model: "local/auto", ready: true, status: "ready" },
    { model: "big", ready: false, status: "unavailable" },
  ];
  const options = () => [...el.querySelectorAll("option")].map(({ textContent }) => textContent);

  it("is listed with its status; one that is not listed stays chosen", () => {
    stream.say({ kind: "models", models, error: null });
    expect(options()).toEqual(["local/read", "local/auto · ready", "big · unavailable"]);
    expect(field("Model").value).toBe("local/read");
  });

  it("is asked for once when it is looked at, and again by the button", () => {
    const asked = () => stream.sent.filter(({ kind }) => kind === "want_models").length;
    field("Model").dispatchEvent(new Event("focus"));
    field("Model").dispatchEvent(new Event("focus"));
    expect(asked()).toBe(1);
    el.querySelector<HTMLElement>("[aria-label='Refresh the list of models']")?.click();
    expect(asked()).toBe(2);
  });

  it("is sent when it is chosen", () => {
    stream.say({ kind: "models", models, error: null });
    field("Model").value = "big";
    field("Model").dispatchEvent(new Event("change"));
    expect(stream.last("update").changes).toEqual({ model: "big" });
  });

  it.each([
    [[], null, "The server lists no models: name one."],
    [[], "HTTP 500", "HTTP 500"],
  ])("can be named where there is no list (%j, %j)", (none, error, text) => {
    stream.say({ kind: "models", models: none, error });
    expect(row("Model").textContent).toContain(text);
    const name = el.querySelector("[aria-label='Name of the model']") as HTMLInputElement;
    expect(name.hidden).toBe(false);
    name.value = "mine/own";
    name.dispatchEvent(new Event("change"));
    expect(stream.last("update").changes).toEqual({ model: "mine/own" });
  });
});
