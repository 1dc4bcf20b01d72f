/** The Tune tab on a fake session, and what a kernel would say to it. */

import { vi } from "vitest";
import type { FromPage } from "../src/messages";
import fillTune from "../src/tune/index";
import type { Cell, FromTuning, GridRow, ToTuning, TuneState } from "../src/tune/messages";
import { fake, type Fake } from "./fake_session";
import { settled } from "./pictures";

export const STATE: TuneState = {
  kind: "state",
  revision: 1,
  version: 2,
  baseline: 1,
  chosen: {
    version: null,
    baseline: null,
    field: null,
    first: null,
    last: null,
    only: [],
    judge: "exact",
  },
  judges: ["exact", "contains"],
  columns: [1, 2],
  versions: [
    {
      version: 2,
      note: "shorter",
      parent: 1,
      temperature: 0.5,
      in_force: false,
      answers: 10,
      score: { n: 8, right: 6, accuracy: 0.75, low: 0.41, high: 0.93 },
      best: true,
    },
    {
      version: 1,
      note: "",
      parent: null,
      temperature: null,
      in_force: true,
      answers: 40,
      score: { n: 8, right: 4, accuracy: 0.5, low: 0.22, high: 0.78 },
      best: false,
    },
  ],
  fields: [{ name: null, title: "answer", choices: [] }],
  labelled: 8,
  answered: 40,
  better: 3,
  worse: 1,
  verdict: "Not told from chance yet.",
  backfills: [],
  undo: "",
};

export function cell(version: number, changes: Partial<Cell> = {}): Cell {
  return {
    version,
    answered: true,
    ok: true,
    text: `said by v${version}`,
    parts: [],
    right: null,
    differs: false,
    ...changes,
  };
}

export const row = (sample: number, changes: Partial<GridRow> = {}): GridRow => ({
  sample,
  media_time: sample / 2,
  labels: [],
  cells: [cell(1), cell(2)],
  ...changes,
});

export interface Tab {
  page: Fake;
  body: HTMLElement;
  below: HTMLElement;
  show(shown: boolean): void;
  tell(message: FromTuning, buffers?: DataView[]): void;
  state(changes?: Partial<TuneState>): void;
  samples(...samples: number[]): void;
  /** The newest request of a kind; fails where there is none. */
  asked<K extends ToTuning["kind"]>(kind: K): Extract<ToTuning, { kind: K }>;
  count(kind: ToTuning["kind"]): number;
  /** The kernel's answer to the newest request of a kind. */
  answer(kind: ToTuning["kind"], refusal?: string): Promise<void>;
  press(key: string, init?: KeyboardEventInit, target?: Element): KeyboardEvent;
  /** Lets drawings and pauses come. */
  pass(): void;
  end(): void;
}

type Tune = Extract<FromPage, { kind: "tune" }>;

/** A tab that is shown, with versions 1 (in force) and 2. Timers must be fake. */
export function tuneTab(): Tab {
  const page = fake();
  const body = document.createElement("div");
  const below = document.createElement("div");
  page.view.root.append(body, below);
  const track = document.createElement("div");
  track.className = "ov-track";
  page.view.root.append(track);
  const show = fillTune(page.view, body, below);
  page.welcome();
  page.status();
  const prompts = [1, 2].map((version) => ({
    version,
    text: version === 1 ? "Read the score" : "Read the banner",
    model: "local/read",
    output_schema: null,
    max_output_tokens: null,
    at: version,
  }));
  page.say({ kind: "prompts", prompts });
  show(true);
  const requests = () => page.sent.filter((message): message is Tune => message.kind === "tune");
  const newest = (kind: ToTuning["kind"]) => {
    const found = requests().findLast(({ message }) => message.kind === kind);
    if (found === undefined) throw new Error(`no ${kind} was asked for`);
    return found;
  };
  const tab: Tab = {
    page,
    body,
    below,
    show,
    tell: (message, buffers = []) => page.say({ kind: "tuned", page: "", message }, buffers),
    state: (changes = {}) => tab.tell({ ...STATE, ...changes }),
    samples: (...samples) => {
      const buffer = new DataView(Uint32Array.from(samples).buffer);
      tab.tell({ kind: "samples", start: 0, total: samples.length }, [buffer]);
    },
    asked: (kind) => newest(kind).message as never,
    count: (kind) => requests().filter(({ message }) => message.kind === kind).length,
    answer: async (kind, refusal) => {
      const { page: name, request } = newest(kind);
      if (refusal === undefined) page.say({ kind: "done", page: name, request });
      else {
        const problem = { message: refusal, advice: "" };
        page.say({ kind: "refused", page: name, request, problem, restart: false });
      }
      await settled();
    },
    press: (key, init = {}, target = page.view.root) => {
      const event = new KeyboardEvent("keydown", {
        key,
        bubbles: true,
        cancelable: true,
        ...init,
      });
      target.dispatchEvent(event);
      return event;
    },
    pass: () => {
      vi.advanceTimersByTime(100);
    },
    end: () => page.end(),
  };
  return tab;
}

/** A viewport of so many pixels, and observers that say so at once. */
export function stubLayout(height: number): void {
  vi.spyOn(HTMLElement.prototype, "clientHeight", "get").mockReturnValue(height);
  vi.stubGlobal(
    "ResizeObserver",
    class {
      constructor(private readonly call: () => void) {}
      observe = () => this.call();
      disconnect = () => undefined;
    },
  );
}
