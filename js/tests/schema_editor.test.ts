import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { schemaEditor } from "../src/schema_editor";
import { EXAMPLE } from "../src/schema_text";
import { fake, SETTINGS, type Fake } from "./fake_session";

let stream: Fake;
let el: HTMLElement;

const area = () => el.querySelector("textarea") as HTMLTextAreaElement;
const line = () => el.querySelector(".ov-line")?.textContent;
const button = (name: string) =>
  [...el.querySelectorAll("button")].find((found) => found.textContent === name && !found.hidden);
const type = (text: string) => {
  area().value = text;
  area().dispatchEvent(new Event("input"));
};
const checks = () => stream.sent.filter(({ kind }) => kind === "check_schema");
const key = (init: KeyboardEventInit) => {
  const event = new KeyboardEvent("keydown", { cancelable: true, bubbles: true, ...init });
  area().dispatchEvent(event);
  return event;
};

beforeEach(() => {
  vi.useFakeTimers();
  stream = fake();
  el = schemaEditor(stream.view);
  stream.view.root.append(el);
  stream.welcome();
  stream.status();
});
afterEach(() => {
  stream.end();
  vi.useRealTimers();
});

it("says at once where the text is no JSON, and does not ask the kernel", async () => {
  type('{"type": }');
  expect(line()).toBe("Line 1:10: expected a value");
  expect(button("Apply")?.disabled).toBe(true);
  await vi.advanceTimersByTimeAsync(1000);
  expect(checks()).toEqual([]);
});

it("asks the kernel once its author pauses, and shows its word", async () => {
  type('{"type": "objec"}');
  await vi.advanceTimersByTimeAsync(200);
  type('{"type": "object", "properties": {"a": {}, "b": {}}}');
  await vi.advanceTimersByTimeAsync(200);
  expect(checks()).toEqual([]);
  await vi.advanceTimersByTimeAsync(60);
  expect(checks().length).toBe(1);
  expect(line()).toBe("checking… 2 fields: a, b");
  const { page } = stream.session;
  stream.say({ kind: "done", page, request: stream.last("check_schema").request });
  await vi.advanceTimersByTimeAsync(0);
  expect(line()).toBe("valid: 2 fields: a, b");
  type('{"type": "thing"}');
  await vi.advanceTimersByTimeAsync(300);
  const problem = { message: "'thing' is no type", advice: "Take object." };
  const { request } = stream.last("check_schema");
  stream.say({ kind: "refused", page, request, problem, restart: false });
  await vi.advanceTimersByTimeAsync(0);
  expect(line()).toBe("'thing' is no type. Take object.");
  expect(button("Apply")?.disabled).toBe(true);
});

it("takes no late word on an earlier text", async () => {
  type('{"type": "a"}');
  await vi.advanceTimersByTimeAsync(300);
  const { request } = stream.last("check_schema");
  type('{"type": "object"}');
  const problem = { message: "late", advice: "" };
  stream.say({ kind: "refused", page: stream.session.page, request, problem, restart: false });
  await vi.advanceTimersByTimeAsync(0);
  expect(line()).toBe("checking… no named fields");
});

it("applies a schema, and an empty field as none", async () => {
  button("Insert example")?.click();
  expect(area().value).toBe(EXAMPLE);
  button("Apply")?.click();
  expect(stream.last("update").changes).toEqual({ output_schema: EXAMPLE });
  const { page } = stream.session;
  stream.say({ kind: "done", page, request: stream.last("update").request });
  await vi.advanceTimersByTimeAsync(0);
  expect(line()).toBe("in force, 2 fields: text, brightness");
  type(" ");
  expect(line()).toBe("no schema, not applied");
  button("Apply")?.click();
  expect(stream.last("update").changes).toEqual({ output_schema: null });
});

it("follows the kernel, however it lays the text out, and keeps an edit", () => {
  stream.status({ settings: { ...SETTINGS, output_schema: '{"type":"object"}' } });
  expect(area().value).toBe('{\n  "type": "object"\n}');
  expect(button("Apply")?.disabled).toBe(true);
  type('{"type": "array"}');
  stream.status({ settings: { ...SETTINGS, output_schema: '{"type":"string"}' } });
  expect(area().value).toBe('{"type": "array"}');
  expect(line()).toBe("another schema is in force now");
  button("Revert")?.click();
  expect(area().value).toBe('{\n  "type": "string"\n}');
});

it("indents with Tab once it is worked in, and lets go of it after Escape", () => {
  area().focus();
  expect(key({ key: "Tab" }).defaultPrevented).toBe(false);
  key({ key: "a" });
  type("ab");
  area().setSelectionRange(1, 1);
  expect(key({ key: "Tab" }).defaultPrevented).toBe(true);
  expect(area().value).toBe("a  b");
  expect(key({ key: "Tab", shiftKey: true }).defaultPrevented).toBe(false);
  key({ key: "Escape" });
  expect(key({ key: "Tab" }).defaultPrevented).toBe(false);
  area().click();
  expect(key({ key: "Tab" }).defaultPrevented).toBe(true);
  const ids = area().getAttribute("aria-describedby")?.split(" ") ?? [];
  const said = ids.map((id) => el.querySelector(`#${id}`)?.textContent);
  expect(said).toContain("Tab indents; Escape, then Tab, leaves");
});

it("lays JSON out in lines", () => {
  type('{"type":"object"}');
  button("Format")?.click();
  expect(area().value).toBe('{\n  "type": "object"\n}');
});
