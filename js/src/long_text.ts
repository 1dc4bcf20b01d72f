/**
 * Texts of any length: in blocks that a browser lays out only when they come into view. A hundred
 * kilobytes in mixed directions would hold up the page for half a second otherwise.
 */

import { div, fill, setText } from "./dom";

/** Characters of a block. */
const BLOCK = 6000;

/** Shows a text in an element that keeps white space. */
export function setLongText(el: Element, text: string): void {
  if (text.length <= BLOCK) setText(el, text);
  else if (el.textContent !== text) {
    fill(el, ...blocks(text).map((block) => div({ class: "ov-block", text: block })));
  }
}

/** The text in parts that end with a line where they can, else with a word. */
export function blocks(text: string, size = BLOCK): string[] {
  const parts: string[] = [];
  for (let from = 0; from < text.length;) {
    let to = from + size;
    if (to < text.length) {
      const line = text.lastIndexOf("\n", to - 1);
      const word = text.lastIndexOf(" ", to - 1);
      if (line >= from) to = line + 1;
      else if (word >= from) to = word + 1;
      else if (/[\uD800-\uDBFF]/.test(text.charAt(to - 1))) to -= 1; // not through a character
    }
    parts.push(text.slice(from, to));
    from = to;
  }
  return parts;
}
