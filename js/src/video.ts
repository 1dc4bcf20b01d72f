/** The stage: the newest picture, when it was, what was sent to the model, and what it answered. */

import { caption } from "./caption";
import { div, h, iconButton, setText, span } from "./dom";
import { clock } from "./format";
import { currentState, isActive, onUnanswered } from "./in_force";
import { Lag, lagText } from "./lag";
import { atEnd, Later } from "./later";
import type { Picture } from "./messages";
import { togglePlayback } from "./requests";
import { stageNote } from "./stage_note";
import { drawBitmap } from "./still";
import type { Part, View } from "./view";

/** Milliseconds between two looks at ages and delays. */
const TICK = 250;
/** Milliseconds that the mark of a sample stays after the picture that follows it. */
const MARK = 300;

export const video: Part = (view) => {
  const { session, signal } = view;
  const canvas = h("canvas", { role: "img", "aria-label": "Video", hidden: true });
  const lagChip = span();
  const timeChip = span();
  const chips = div("ov-clock", timeChip, lagChip);
  const mark = sampleMark(view);
  const answer = caption(view);
  const veil = veilOver(view);
  const stage = div("ov-video", canvas, veil.element, answer.box, answer.button);
  // Below the picture, never over it: scoreboards and clocks stand in every corner.
  const bar = div("ov-stage-bar", chips, mark.element);

  const lag = new Lag();
  let newest: Picture | null = null;
  let patient = true;

  const tick = () => {
    answer.tick(!canvas.hidden);
    const { welcome, status } = session;
    if (!session.visible) lag.reset(); // pictures stop then, and nothing is late for it
    const moves = status?.state === "running" && session.connected;
    const late = moves && newest !== null ? lag.value(session.since(newest.shown_at)) : null;
    const live = welcome?.live === true && isActive(status?.state ?? "ended");
    setText(lagChip, lagText(late, live));
    lagChip.hidden = lagChip.textContent === "";
    lagChip.classList.toggle("ov-live", live);
  };
  const showTime = () => {
    const time = newest?.media_time ?? session.status?.media_time;
    const duration = session.welcome?.duration;
    chips.hidden = canvas.hidden || time === undefined;
    const whole = duration ? ` / ${clock(duration)}` : "";
    if (time !== undefined) setText(timeChip, clock(time) + whole);
  };
  const update = () => {
    veil.show(stageNote(session.connection, currentState(session), !canvas.hidden, patient));
    showTime();
    tick();
  };
  const draw = (bitmap: ImageBitmap) => {
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      stage.style.aspectRatio = `${bitmap.width} / ${bitmap.height}`;
    }
    drawBitmap(canvas, bitmap);
    if (!canvas.hidden) return;
    canvas.hidden = false;
    update();
  };

  session.on(
    "picture",
    ({ message, bitmap }) => {
      // Back in the video: another file, a restart. What was late before is over.
      if (newest !== null && message.media_time < newest.media_time) lag.reset();
      newest = message;
      draw(bitmap);
      lag.add(session.since(message.shown_at));
      mark.see(message.sample);
      showTime();
    },
    signal,
  );
  session.on(
    "welcome",
    ({ width, height }) => {
      const known = width > 0 && height > 0;
      if (canvas.hidden && known) stage.style.aspectRatio = `${width} / ${height}`;
      update();
    },
    signal,
  );
  session.on(["status", "connection"], update, signal);
  onUnanswered(view, (unanswered) => {
    patient = !unanswered;
    update();
  });
  lastPicture(view, () => canvas.hidden, draw);

  const timer = setInterval(tick, TICK);
  atEnd(signal, () => clearInterval(timer));
  update();
  return div("", stage, bar);
};

/** Says which picture went to the model, until a moment after the one that follows it. */
function sampleMark({ signal }: View): { element: HTMLElement; see(sample: number | null): void } {
  const text = span();
  const element = div({ class: "ov-sent", "aria-hidden": "true" }, text);
  const going = new Later(signal);
  return {
    element,
    see(sample) {
      if (sample !== null) {
        going.cancel();
        setText(text, `sample ${sample}`);
        element.classList.add("ov-on");
      } else if (!going.due) {
        going.set(MARK, () => element.classList.remove("ov-on"));
      }
    },
  };
}

/** Words over the picture or instead of it, and a way on where there is one. */
function veilOver(view: View) {
  const text = span("ov-over");
  const press = () => void togglePlayback(view);
  const resume = iconButton("play", "Resume (space)", press, "ov-over ov-resume");
  const element = div("ov-veil", resume, text);
  return {
    element,
    show(note: ReturnType<typeof stageNote>) {
      element.hidden = note.veil === "none";
      element.dataset.veil = note.veil;
      resume.hidden = note.veil !== "paused";
      setText(text, note.text);
      text.classList.toggle("ov-over", note.veil !== "empty");
    },
  };
}

/** A page that comes when all is over shows the last sample that went to the model. */
function lastPicture(
  { session, signal }: View,
  empty: () => boolean,
  draw: (bitmap: ImageBitmap) => void,
): void {
  let asked: number | null = null;
  const ask = () => {
    const { timeline, status } = session;
    if (asked !== null || !empty() || status === null || isActive(status.state)) return;
    for (let sample = timeline.length - 1; sample >= timeline.runStart; sample--) {
      if (timeline.fate(sample) === "drop") continue; // those were not kept
      asked = sample;
      session.look(sample);
      return;
    }
  };
  session.on(["ticks", "status"], ask, signal);
  session.on(
    "detail",
    ({ message, jpeg }) => {
      if (message.sample !== asked || jpeg === null || !empty()) return;
      void createImageBitmap(jpeg).then(
        (bitmap) => {
          if (empty() && !signal.aborted) draw(bitmap);
          bitmap.close();
        },
        () => undefined, // damaged: the stage stays empty, and says why
      );
    },
    signal,
  );
}
