import { expect, it } from "vitest";
import { blocks, setLongText } from "../src/long_text";

const TEXTS = {
  lines: "a line of text\n".repeat(2000),
  words: "word and ".repeat(3000),
  letters: "x".repeat(20_001),
  pictures: "🏀".repeat(10_001),
  mixed: `${"שלום ".repeat(900)}\n\n${"y".repeat(9000)} end`,
};

it.each(Object.entries(TEXTS))("loses nothing: %s", (_, text) => {
  const parts = blocks(text, 101);
  expect(parts.join("")).toBe(text);
  expect(Math.max(...parts.map((part) => part.length))).toBeLessThanOrEqual(101);
  expect(parts.length).toBeLessThan(text.length / 40);
  for (const part of parts) expect(() => encodeURIComponent(part)).not.toThrow(); // half a pair
});

it("ends blocks with lines, else with words", () => {
  expect(blocks("one\ntwo three\nfour", 12)).toEqual(["one\n", "two three\n", "four"]);
  expect(blocks("one two three", 8)).toEqual(["one two ", "three"]);
  expect(blocks("", 8)).toEqual([]);
});

it("keeps a short text in one piece, and a long one as it is while it does not change", () => {
  const el = document.createElement("div");
  setLongText(el, "<b>short</b>");
  expect(el.innerHTML).toBe("&lt;b&gt;short&lt;/b&gt;");
  setLongText(el, TEXTS.lines);
  const first = el.firstElementChild;
  expect(el.children.length).toBeGreaterThan(3);
  setLongText(el, TEXTS.lines);
  expect(el.firstElementChild).toBe(first);
  setLongText(el, "short again");
  expect(el.children.length).toBe(0);
});
