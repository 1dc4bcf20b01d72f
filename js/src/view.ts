/** What every visible part of the widget is made from. */

import type { Notices } from "./notices";
import type { Session } from "./session";

export interface View {
  session: Session;
  /** Aborted when the view goes: ends listeners, timers and observers. */
  signal: AbortSignal;
  /** The widget's outermost element. */
  root: HTMLElement;
  /** What the banner shows. */
  notices: Notices;
  /** Says something to a screen reader, politely. */
  announce(text: string): void;
}

/** A visible part: an element that keeps itself up to date. */
export type Part = (view: View) => HTMLElement;
