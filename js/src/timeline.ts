/** One tick for each sample of the run: to see how it goes, to look into, to select. */

import { button, div, h, modified, setAttr, setText, taken } from "./dom";
import { atEnd, onFrame, watched } from "./later";
import { popover } from "./popover";
import { describe, stepSample } from "./samples";
import { drawTimeline } from "./timeline_canvas";
import { WINDOW, nearest, slide, timeToX, wholeRun, type Domain } from "./timeline_layout";
import type { Part, View } from "./view";

/** Pixels around a tick that belong to it, for a mouse and for a finger. */
const RADIUS = 8;
const FINGER = 16;
/** Steps of the keys that the root does not know. */
const STEPS: Record<string, number> = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 };

export const timeline: Part = (view) => {
  const { session, signal, root, track: shown } = view;
  const canvas = h("canvas", { "aria-hidden": "true" });
  const playhead = h("i", "ov-playhead");
  const chosen = h("i", "ov-chosen");
  const aim = h("i", "ov-aim");
  const track = div(
    {
      class: "ov-track",
      role: "slider",
      tabindex: 0,
      "aria-label": "Samples",
      "aria-valuemin": 0,
      on: {
        pointermove: (event) => {
          if (event.pointerType !== "touch") hover(at(event, RADIUS));
        },
        pointerleave: () => hover(null),
        click: (event) => {
          const finger = (event as PointerEvent).pointerType === "touch";
          const sample = at(event, finger ? FINGER : RADIUS);
          if (sample !== null) session.select(sample === session.selected ? null : sample);
        },
        keydown: (event) => {
          const by = STEPS[event.key];
          if (by !== undefined && !modified(event) && stepSample(session, by)) taken(event);
        },
      },
    },
    canvas,
    aim,
    chosen,
    playhead,
  );
  const look = popover(view);
  const toggle = () => {
    whole = !isWhole();
    refresh(true);
  };
  const zoom = button("", toggle, "ov-button ov-span");
  const element = div("ov-timeline", track, zoom, look.element);

  /** What was asked for with the button; until then, all of a file and the end of a live run. */
  let whole: boolean | null = null;
  let domain: Domain | null = null;
  let width = 0;
  let hovered: number | null = null;
  let mediaTime = 0;
  let stale = true;

  const isWhole = () => whole ?? Boolean(session.welcome?.duration);
  const latest = () => Math.max(mediaTime, session.timeline.times.at(-1) ?? 0);
  /** Time of the selected sample, if it is of this run. */
  const focus = (): number | null => {
    const { selected, timeline } = session;
    if (selected === null || selected < timeline.runStart) return null;
    return timeline.times[selected] ?? null;
  };
  const place = (mark: HTMLElement, time: number | null) => {
    const x = time === null || domain === null ? -1 : timeToX(time, domain, width);
    mark.hidden = !(x >= 0 && x <= width);
    if (!mark.hidden) mark.style.transform = `translateX(${Math.round(x)}px)`;
  };
  const draw = () => {
    const duration = session.welcome?.duration ?? null;
    const all = wholeRun(duration, latest());
    const next = isWhole() ? all : slide(domain, latest(), hovered !== null, focus());
    const pixel = (next.end - next.start) / Math.max(1, width);
    // A window that slides is drawn anew when it has moved by a pixel, not with each picture.
    const far = (edge: keyof Domain) =>
      domain === null || Math.abs(next[edge] - domain[edge]) >= pixel;
    if (stale || far("start") || far("end")) {
      domain = next;
      stale = false;
      drawTimeline(canvas, session.timeline, domain, width, getComputedStyle(root));
      shown.domain = domain;
      shown.moved();
    }
    place(playhead, session.status === null ? null : mediaTime);
    place(chosen, focus());
    place(aim, hovered === null ? null : (session.timeline.times[hovered] ?? null));
    zoom.hidden = all.end <= WINDOW;
    setText(zoom, isWhole() ? "2 min" : "All");
    zoom.title = isWhole() ? "Show two minutes" : "Show the whole run";
  };
  const schedule = onFrame(signal, draw);
  const refresh = (redraw: boolean) => {
    stale ||= redraw;
    schedule();
  };
  const tell = () => {
    const { timeline, selected } = session;
    const newest = Math.max(0, timeline.length - 1);
    element.hidden = timeline.length === 0 && session.status === null;
    setAttr(track, "aria-valuemax", newest);
    setAttr(track, "aria-valuenow", Math.min(newest, selected ?? newest));
    const text = selected === null ? "no sample selected" : describe(session, selected);
    setAttr(track, "aria-valuetext", text);
  };

  const at = (event: MouseEvent, radius: number): number | null => {
    const { times, fates, runStart } = session.timeline;
    if (domain === null || width === 0) return null;
    const x = event.clientX - track.getBoundingClientRect().left;
    return nearest(times, fates, runStart, x, domain, width, radius);
  };
  const hover = (sample: number | null) => {
    hovered = sample;
    const time = sample === null ? undefined : session.timeline.times[sample];
    if (sample === null || time === undefined || domain === null) look.hide();
    else look.show(sample, timeToX(time, domain, width) + track.offsetLeft, element.offsetWidth);
    track.classList.toggle("ov-aimed", sample !== null);
    refresh(false);
  };

  session.on(
    "picture",
    ({ message }) => {
      mediaTime = message.media_time;
      refresh(false);
    },
    signal,
  );
  session.on(
    "status",
    (status) => {
      // Pictures are nearer to what is seen, but there are none of a stream that is over.
      if (status.state !== "running" || !session.visible) mediaTime = status.media_time;
      tell();
      refresh(runStart !== status.run_start);
      runStart = status.run_start;
    },
    signal,
  );
  let runStart = 0;
  const update = (redraw: boolean) => () => {
    tell();
    refresh(redraw);
  };
  session.on(["ticks", "welcome"], update(true), signal);
  session.on(["selected", "rows"], update(false), signal);
  whenLooksChange(track, view, (now) => {
    width = now;
    refresh(true);
  });
  tell();
  return element;
};

/** Calls back with the element's width: when it changes, and when the theme does. */
function whenLooksChange(el: HTMLElement, view: View, call: (width: number) => void): void {
  watched(el, new ResizeObserver(() => call(el.clientWidth)), view.signal);
  const themed = new MutationObserver(() => call(el.clientWidth));
  themed.observe(view.root, { attributes: true, attributeFilter: ["data-theme"] });
  atEnd(view.signal, () => themed.disconnect());
}
