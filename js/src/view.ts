/** What every visible part of the widget is made from. */

import type { Notices } from "./notices";
import type { Session } from "./session";
import type { Domain } from "./timeline_layout";

export interface View {
  session: Session;
  /** Aborted when the view goes: ends listeners, timers and observers. */
  signal: AbortSignal;
  /** The widget's outermost element. */
  root: HTMLElement;
  /** What the banner shows. */
  notices: Notices;
  /** What the timeline shows; `moved` is called when that is another stretch, or wider. */
  track: { domain: Domain | null; moved: () => void };
  /** Says something to a screen reader, politely. */
  announce(text: string): void;
}

/** A visible part: an element that keeps itself up to date. */
export type Part = (view: View) => HTMLElement;
