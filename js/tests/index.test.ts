import type { RenderProps } from "@anywidget/types";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import widget from "../src/index";
import type { Traits } from "../src/model";
import { fakeModel, type FakeModel } from "./fake_session";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Shows a model in a cell of its own, as a host does; returns the cell and the clean-up. */
function show({ model }: FakeModel) {
  const el = document.createElement("div");
  document.body.append(el);
  const cleanUp = widget.render({ model, el } as unknown as RenderProps<Traits>);
  return {
    el,
    remove: () => {
      cleanUp();
      el.remove();
    },
  };
}

const kinds = ({ sent }: FakeModel) => sent.map(({ kind }) => kind);

it("makes one session for all views of a stream, which the last of them closes", () => {
  // Some hosts hand each view a model object of its own.
  const [one, other] = [fakeModel({ key: "a" }), fakeModel({ key: "a" })];
  const [first, second] = [show(one), show(other)];
  expect(kinds(one)).toEqual(["hello"]);
  expect([kinds(other), other.listeners()]).toEqual([[], 0]);
  expect(second.el.querySelector(".ov")).not.toBeNull();

  first.remove();
  expect(kinds(one)).not.toContain("bye");
  one.emit("change:caption");
  vi.advanceTimersByTime(2000);
  expect(kinds(one).at(-1)).toBe("hello");

  second.remove();
  expect(kinds(one).at(-1)).toBe("bye");
  expect(one.listeners()).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});

it("makes a session for each stream, and a new one where the last was closed", () => {
  const [one, other] = [fakeModel({ key: "b" }), fakeModel({ key: "c" })];
  const views = [show(one), show(other)];
  expect([kinds(one), kinds(other)]).toEqual([["hello"], ["hello"]]);
  for (const view of views) view.remove();
  const again = show(one);
  expect(kinds(one)).toEqual(["hello", "bye", "hello"]);
  again.remove();
});
