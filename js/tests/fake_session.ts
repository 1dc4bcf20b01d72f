/** A real session on a model without a kernel: tests speak for it, and read what it was sent. */

import type { AnyModel } from "@anywidget/types";
import type { FromKernel, FromPage, Limits, Settings, Status, Welcome } from "../src/messages";
import type { Traits } from "../src/model";
import { Notices } from "../src/notices";
import { Session } from "../src/session";
import type { View } from "../src/view";

export const SETTINGS: Settings = {
  mode: "frame",
  model: "local/read",
  interval_seconds: 0.5,
  target_fps: null,
  clip_length_seconds: null,
  delay_seconds: null,
  output_schema: null,
  max_output_tokens: null,
};

export const LIMITS: Limits = {
  interval_seconds: { low: 0, high: 60, open: true, whole: false, default: 0.5 },
  target_fps: { low: 1, high: 30, open: false, whole: true, default: 6 },
  clip_length_seconds: { low: 0.1, high: 60, open: false, whole: false, default: 0.5 },
  delay_seconds: { low: 0, high: null, open: true, whole: false, default: 0.5 },
  max_output_tokens: { low: 1, high: null, open: false, whole: true, default: null },
  min_clip_frames: 3,
};

const TRAITS: Traits = {
  key: "key",
  stream_id: "stream_1",
  source: "basketball.mp4",
  settings: SETTINGS,
  prompt: "Read the score",
  prompt_version: 1,
  state: "running",
  status: "running",
  figures: {
    samples: 0,
    results: 0,
    errors: 0,
    drops: {},
    waiting: 0,
    in_flight: 0,
    latency_p50_ms: null,
    latency_p95_ms: null,
    total_tokens: 0,
    completion_tokens: 0,
    cost_cents: null,
  },
  selected: null,
  caption: true,
  recent: [],
};

export interface FakeModel {
  model: AnyModel<Traits>;
  /** Messages to the kernel, oldest first. */
  sent: FromPage[];
  /** An event of the host: "msg:custom", "change:selected", "comm_live_update". */
  emit(event: string, ...args: unknown[]): void;
  /** How many listeners the model has. */
  listeners(): number;
  /** From now on messages cannot be sent, as where the kernel has gone; or they can again. */
  refuse(refused: boolean): void;
}

/** A model without a kernel. */
export function fakeModel(traits: Partial<Traits> = {}): FakeModel {
  const values: Traits = { ...TRAITS, ...traits };
  const listeners = new Map<string, Set<(...args: unknown[]) => void>>();
  const sent: FromPage[] = [];
  let refused = false;
  const emit = (event: string, ...args: unknown[]) => {
    for (const listener of [...(listeners.get(event) ?? [])]) listener(...args);
  };
  const model = {
    get: (name: keyof Traits) => values[name],
    set: (name: keyof Traits, value: never) => {
      values[name] = value;
      emit(`change:${name}`);
    },
    save_changes: () => undefined,
    on: (event: string, listener: (...args: unknown[]) => void) => {
      listeners.set(event, (listeners.get(event) ?? new Set()).add(listener));
    },
    off: (event: string, listener: (...args: unknown[]) => void) => {
      listeners.get(event)?.delete(listener);
    },
    send: (message: FromPage) => {
      if (refused) throw new Error("Cannot send");
      sent.push(message);
    },
  } as unknown as AnyModel<Traits>;
  return {
    model,
    sent,
    emit,
    listeners: () => [...listeners.values()].reduce((sum, { size }) => sum + size, 0),
    refuse: (is) => {
      refused = is;
    },
  };
}

export interface Fake extends FakeModel {
  session: Session;
  view: View;
  /** The newest message of a kind; fails where there is none. */
  last<K extends FromPage["kind"]>(kind: K): Extract<FromPage, { kind: K }>;
  /** A message from the kernel, taken in at once. */
  say(message: FromKernel, buffers?: DataView[]): void;
  welcome(changes?: Partial<Welcome>): void;
  status(changes?: Partial<Status>): void;
  /** What `announce` was given. */
  spoken: string[];
  /** Ends the view and the session. */
  end(): void;
}

/** A session and a view of it. Call `end` afterwards: a session has a timer. */
export function fake(traits: Partial<Traits> = {}): Fake {
  const values: Traits = { ...TRAITS, ...traits };
  const page = fakeModel(traits);
  const { model, sent, emit } = page;
  const session = new Session(model);
  const ending = new AbortController();
  const spoken: string[] = [];
  const view: View = {
    session,
    signal: ending.signal,
    root: document.createElement("section"),
    notices: new Notices(),
    track: { domain: null, moved: () => undefined },
    announce: (text) => spoken.push(text),
  };
  const say = (message: FromKernel, buffers: DataView[] = []) => {
    emit("msg:custom", message, buffers);
  };
  document.body.append(view.root);
  return {
    ...page,
    session,
    view,
    spoken,
    say,
    last: (kind) => {
      const found = sent.findLast((message) => message.kind === kind);
      if (found === undefined) throw new Error(`no ${kind} was sent`);
      return found as Extract<FromPage, { kind: typeof kind }>;
    },
    welcome: (changes = {}) =>
      say({
        kind: "welcome",
        page: session.page,
        live: false,
        realtime: true,
        duration: 36,
        width: 1280,
        height: 720,
        limits: LIMITS,
        live_changes: ["prompt", "model", "output_schema", "max_output_tokens", "interval_seconds"],
        prompts: [
          {
            version: values.prompt_version,
            text: values.prompt,
            model: values.settings.model,
            output_schema: values.settings.output_schema,
            max_output_tokens: values.settings.max_output_tokens,
            at: 0,
          },
        ],
        query: "",
        ...changes,
      }),
    status: (changes = {}) =>
      say({
        kind: "status",
        sent_at: Date.now() / 1000,
        stream_id: values.stream_id,
        state: values.state,
        status: values.status,
        problem: null,
        settings: values.settings,
        prompt_version: values.prompt_version,
        figures: values.figures,
        latencies: [],
        rows: 0,
        samples: 0,
        run_start: 0,
        media_time: 0,
        ...changes,
      }),
    end: () => {
      ending.abort();
      session.close();
      view.root.remove();
    },
  };
}
