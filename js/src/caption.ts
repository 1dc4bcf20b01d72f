/** The answer over the video, with its age or time, and the button that switches it off. */

import { div, fill, h, iconButton, setAttr, setText, span } from "./dom";
import { clock, NOTHING, shorten } from "./format";
import type { Row } from "./messages";
import type { View } from "./view";

/** Characters and fields that can be seen at all in three lines. */
const LETTERS = 320;
const FIELDS = 8;

export interface Caption {
  box: HTMLElement;
  button: HTMLButtonElement;
  /** Tells the age anew. `pictured`: there is a picture to stand on. */
  tick(pictured: boolean): void;
}

export function caption({ session, signal }: View): Caption {
  const text = div({ class: "ov-clamped", dir: "auto" });
  const age = span("ov-label");
  const box = div("ov-over ov-caption", text, age);
  const button = iconButton("caption", "Show the latest answer over the video (c)", () =>
    session.showCaption(!session.caption),
  );
  button.classList.add("ov-over");
  let shown: Row | null | undefined;
  /** The answer about what is played of a recording; undefined where the newest is shown. */
  let played: Row | null | undefined;
  let pictured = false;

  const tick = (now = pictured) => {
    pictured = now;
    // An answer of an earlier run says nothing about this picture.
    const fits = shown && shown.sample >= session.timeline.runStart;
    button.hidden = !pictured;
    box.hidden = !pictured || !fits || !session.caption;
    if (!shown || box.hidden) return;
    const ago = session.welcome?.live === true && session.status?.state === "running";
    setText(age, ago ? agoText(session.since(shown.at)) : clock(shown.media_time));
  };
  const update = () => {
    const row = played === undefined ? session.rows.peek(session.rows.total - 1) : played;
    if (row === null) shown = row;
    if (row && row.id !== shown?.id) {
      shown = row;
      box.classList.toggle("ov-error", !row.ok);
      fill(text, ...captionOf(row));
    }
    setAttr(button, "aria-pressed", String(session.caption));
    tick();
  };
  session.on(["rows", "status", "caption"], update, signal);
  session.on(
    "picture",
    ({ message }) => {
      played = message.played ? message.answer : undefined;
      update();
    },
    signal,
  );
  update();
  return { box, button, tick };
}

function captionOf(row: Row): (Node | string)[] {
  if (!row.ok) return [shorten(row.error ?? "error", 120)];
  if (!row.chips?.length) return [shorten(row.text.trim(), LETTERS) || NOTHING];
  return row.chips
    .slice(0, FIELDS)
    .map(([name, value]) =>
      span(
        "ov-caption-field",
        span({ class: "ov-label", text: shorten(name, 40) }),
        h("bdi", { text: shorten(value, 80) }),
      ),
    );
}

/** 0.6 s ago, 2 min ago. */
export function agoText(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  return `${Math.round(seconds / 3600)} h ago`;
}
