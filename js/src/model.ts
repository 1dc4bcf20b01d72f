/**
 * The synced traits of the widget, as `overshoot_nb/widget/stream_widget.py` declares them.
 *
 * Only what must survive a reload is a trait; a test compares the two lists.
 */

import type { Figures, Row, Settings, State } from "./messages";

export interface Traits {
  /** Tells this model from others; the same for all views of it. */
  key: string;
  /** Id of the stream that is shown; another one after a restart. */
  stream_id: string;
  /** What is watched, in words, without secrets. */
  source: string;
  settings: Settings;
  prompt: string;
  prompt_version: number;
  state: State;
  /** The state and its reason, in words. */
  status: string;
  figures: Figures;
  /** Index of the selected sample. */
  selected: number | null;
  /** Whether the latest answer is shown over the video. */
  caption: boolean;
  /** The newest rows, their texts cut short, newest last. */
  recent: Row[];
}
