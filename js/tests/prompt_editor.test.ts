import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Draft } from "../src/draft";
import { promptEditor } from "../src/prompt_editor";
import { firstLine } from "../src/prompt_versions";
import type { PromptVersion } from "../src/messages";
import { fake, type Fake } from "./fake_session";

let stream: Fake;
let el: HTMLElement;

const version = (number: number, text: string): PromptVersion => ({
  version: number,
  text,
  model: "local/read",
  output_schema: null,
  max_output_tokens: null,
  at: 1000 + number,
});
const area = () => el.querySelector("textarea") as HTMLTextAreaElement;
const line = () => el.querySelector(".ov-line")?.textContent;
const button = (name: string) =>
  [...el.querySelectorAll("button")].find(
    (found) => (found.getAttribute("aria-label") ?? found.textContent) === name && !found.hidden,
  );
const type = (text: string) => {
  area().value = text;
  area().dispatchEvent(new Event("input"));
};
const answer = async (message: { ok: true } | { ok: false; text: string; restart?: boolean }) => {
  const { request } = stream.last("update");
  const page = stream.session.page;
  if (message.ok) stream.say({ kind: "done", page, request });
  else {
    const problem = { message: message.text, advice: "" };
    stream.say({ kind: "refused", page, request, problem, restart: message.restart ?? false });
  }
  await vi.advanceTimersByTimeAsync(0);
};

/** The versions, as the kernel tells of them, and which of them is in force: the last. */
const inForce = (prompts: PromptVersion[], prompt_version = prompts.length) => {
  stream.say({ kind: "prompts", prompts });
  stream.status({ prompt_version });
};

beforeEach(() => {
  vi.useFakeTimers();
  stream = fake();
  el = promptEditor(stream.view);
  stream.view.root.append(el);
  stream.welcome();
  stream.status();
});
afterEach(() => {
  stream.end();
  vi.useRealTimers();
});

it("shows the prompt in force with nothing to apply", () => {
  expect(area().value).toBe("Read the score");
  expect(line()).toBe("v1 in force");
  expect(button("Apply")?.disabled).toBe(true);
  expect(button("Revert")).toBeUndefined();
});

it("shows what the notebook kept, unchangeable, while no kernel answers", () => {
  const dead = fake({ prompt: "kept", prompt_version: 7 });
  const part = promptEditor(dead.view);
  expect(part.querySelector("textarea")?.value).toBe("kept");
  expect(part.querySelector("textarea")?.readOnly).toBe(true);
  expect(part.querySelector(".ov-line")?.textContent).toBe("v7 in force");
  dead.end();
});

it("applies with the shortcut, which the notebook never sees", async () => {
  const seen = vi.fn();
  document.body.addEventListener("keydown", seen);
  type("Count people");
  expect(line()).toContain("edited, not applied");
  const key = new KeyboardEvent("keydown", {
    key: "Enter",
    ctrlKey: true,
    bubbles: true,
    cancelable: true,
  });
  area().dispatchEvent(key);
  area().dispatchEvent(new KeyboardEvent("keydown", { key: "x", bubbles: true }));
  expect(seen).not.toHaveBeenCalled();
  expect(key.defaultPrevented).toBe(true);
  const changes = { prompt: "Count people" };
  expect(stream.last("update")).toMatchObject({ changes, restart: false });
  expect(line()).toBe("applying…");
  const prompts = [version(1, "Read the score"), version(2, "Count people")];
  inForce(prompts);
  await answer({ ok: true });
  expect(line()).toBe("v2 in force");
  expect(stream.spoken).toEqual(["The prompt was applied"]);
  document.body.removeEventListener("keydown", seen);
});

it("never applies an empty prompt", () => {
  type("  ");
  expect(line()).toBe("A prompt is needed");
  area().dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", metaKey: true }));
  expect(stream.sent.some(({ kind }) => kind === "update")).toBe(false);
});

it("says why it was refused, until the text is another", async () => {
  type("bad");
  button("Apply")?.click();
  await answer({ ok: false, text: "no such prompt" });
  expect(line()).toBe("no such prompt");
  expect(area().value).toBe("bad");
  type("bad?");
  expect(line()).toContain("edited");
});

it("follows another's prompt, but keeps an edit", () => {
  const others = [version(1, "Read the score"), version(2, "Another's")];
  inForce(others);
  expect(area().value).toBe("Another's");
  type("Mine");
  inForce([...others, version(3, "Third")]);
  expect(area().value).toBe("Mine");
  expect(line()).toBe("v3 is in force now; yours is not applied");
  button("Revert")?.click();
  expect(area().value).toBe("Third");
  expect(line()).toBe("v3 in force");
});

it("is not moved by a version that was only tried, and goes back with the stream", () => {
  const versions = [version(1, "Read the score"), version(2, "Count"), version(3, "Tried")];
  inForce(versions, 2);
  expect(area().value).toBe("Count");
  expect(line()).toBe("v2 in force");
  stream.status({ prompt_version: 1 });
  expect(area().value).toBe("Read the score");
  expect(line()).toBe("v1 in force");
});

it("restarts with the prompt where the stream is over", () => {
  stream.status({ state: "ended", status: "ended: end of file" });
  type("Again");
  button("Restart with this prompt")?.click();
  expect(stream.last("update")).toMatchObject({ changes: { prompt: "Again" }, restart: true });
});

it("cannot apply while the kernel is silent", () => {
  type("Mine");
  expect(button("Apply")?.disabled).toBe(false);
  stream.session.connection = "silent";
  type("Mine too");
  expect(button("Apply")?.disabled).toBe(true);
});

describe("versions", () => {
  beforeEach(() => {
    inForce([version(1, "One\nmore"), version(2, "<b>Two</b>"), version(3, "Three")]);
    button("3 versions")?.click();
  });
  const listed = () => [...el.querySelectorAll("li")].map((item) => item.textContent);

  it("are listed newest first, the one in force marked, as text", () => {
    expect(listed()[0]).toMatch(/^v3Three.*in force$/);
    expect(listed()[1]).toMatch(/^v2<b>Two<\/b>.*Apply$/);
    expect(listed()[2]).toMatch(/^v1One(?!more).*Apply$/);
    expect(el.querySelector("li span b")).toBeNull();
  });

  it("say what they ask otherwise than is asked now", () => {
    const tried = { ...version(2, "Tried"), model: "local/see", output_schema: "{}" };
    inForce([version(1, "One"), tried], 1);
    expect(listed()[0]).toMatch(/^v2Triedlocal\/see · other schema · .*Apply$/);
    expect(listed()[1]).toMatch(/^v1One(?!other)/);
  });

  it("load into the editor with a click, and an unapplied text stays at hand", () => {
    type("My own");
    el.querySelectorAll<HTMLElement>(".ov-version")[2]?.click();
    expect(area().value).toBe("One\nmore");
    expect(line()).toContain("text of v1, not applied");
    expect(listed()[0]).toContain("YoursMy own");
    el.querySelectorAll<HTMLElement>(".ov-version")[0]?.click();
    expect(area().value).toBe("My own");
    expect(listed()[0]).toMatch(/^v3/);
  });

  it("apply at once with their button", async () => {
    button("Apply v1")?.click();
    // All that it asks: it may have been tried with another model or schema.
    expect(stream.last("update").changes).toEqual({ version: 1 });
    await answer({ ok: true });
    expect(area().value).toBe("One\nmore");
  });

  it("are bounded, however many ran", () => {
    stream.say({
      kind: "prompts",
      prompts: Array.from({ length: 1000 }, (_, i) => version(i + 1, "x".repeat(1000))),
    });
    expect(listed().length).toBe(51);
    expect(listed().at(-1)).toBe("and 950 older");
  });
});

it("takes the first line of a text that is long", () => {
  expect(firstLine(`\n  a\nb`)).toBe("a");
  expect(firstLine("x".repeat(100_000)).length).toBeLessThan(200);
});

it("is shown in its own direction, a long text too", () => {
  const words = "word ".repeat(20_000);
  for (const [text, dir] of [
    ["שלום", "auto"],
    [`"שלום" ${words}`, "rtl"],
    [`1. ${words} שלום`, "ltr"],
    ["word", "auto"],
  ] as const) {
    type(text);
    expect(area().dir).toBe(dir);
  }
});

describe("a draft", () => {
  it("becomes unedited when what is in force catches up with it", () => {
    const draft = new Draft("a");
    draft.edit("b");
    draft.follow("c");
    expect([draft.text, draft.edited, draft.overtaken]).toEqual(["b", true, true]);
    draft.follow("b");
    expect([draft.text, draft.edited, draft.overtaken]).toEqual(["b", false, false]);
    draft.follow("d");
    expect(draft.text).toBe("d");
  });
});
