/**
 * One stream on one page: what came from the kernel, for every view of the model to read.
 *
 * Views subscribe to topics and read the fields; they never see a message. A picture is decoded
 * once, drawn by all views, and then acknowledged.
 */

import type { AnyModel } from "@anywidget/types";
import {
  decodeMatches,
  decodeTicks,
  jpegOf,
  parse,
  type Changes,
  type CheckSchema,
  type Control,
  type Detail,
  type FromPage,
  type Limits,
  type ModelInfo,
  type Picture,
  type Problem,
  type PromptVersion,
  type Status,
  type Tune,
  type Tuned,
  type Update,
  type Welcome,
} from "./messages";
import type { Traits } from "./model";
import { DetailCache } from "./detail_cache";
import { randomName } from "./dom";
import { atEnd } from "./later";
import { RowCache } from "./row_cache";
import { TimelineStore } from "./timeline_store";

/** Milliseconds between two signs of life of a page that is looked at. */
const BEAT = 2000;
/** Milliseconds without a word from the kernel before the page says so. */
const SILENCE = 7000;
/** Milliseconds for the kernel's answer to a request. */
const REQUEST = 20_000;

/** Pictures that one acknowledgement stands for. */
const ACK_EVERY = 2;
/** Milliseconds after which one picture alone is acknowledged. */
const ACK_DELAY = 150;

/** waiting: no welcome yet. silent: there was one, but the kernel no longer answers. */
export type Connection = "waiting" | "live" | "silent";

/** A sample as a whole, with its picture where that is kept. */
export interface SampleDetail {
  message: Detail;
  jpeg: Blob | null;
}

export interface Topics {
  connection: Connection;
  welcome: Welcome;
  status: Status;
  picture: { message: Picture; bitmap: ImageBitmap };
  ticks: TimelineStore;
  rows: RowCache;
  matches: Uint32Array | null;
  detail: SampleDetail;
  prompts: PromptVersion[];
  models: { models: ModelInfo[]; error: string | null };
  selected: number | null;
  caption: boolean;
  /** A change that was made in Python, by a trait, could not be carried out. */
  refused: Problem;
  tuned: { message: Tuned["message"]; buffers: DataView[] };
}

/** What the kernel made of a request. */
export type Outcome = { ok: true } | { ok: false; problem: Problem; restart: boolean };

const UNHEARD: Problem = {
  message: "The kernel did not answer.",
  advice: "It may be busy with a cell, or gone.",
};

type Listener<T> = (value: T) => void;
/** A message without what each request carries. */
type Unaddressed<M> = M extends FromPage ? Omit<M, "page" | "request"> : never;

export class Session {
  readonly page = randomName();
  readonly timeline = new TimelineStore();
  readonly details = new DetailCache(this.timeline);
  readonly rows = new RowCache((rows) => this.#send({ kind: "want_rows", rows }));
  connection: Connection = "waiting";
  welcome: Welcome | null = null;
  status: Status | null = null;
  prompts: PromptVersion[] = [];
  models: ModelInfo[] = [];
  /** Row numbers that fit the filter, ascending; null without a filter. */
  matches: Uint32Array | null = null;
  query = "";

  #listeners = new Map<keyof Topics, Set<Listener<never>>>();
  #requests = new Map<number, (outcome: Outcome) => void>();
  #nextRequest = 1;
  #visible = new Map<object, boolean>();
  #wasVisible = false;
  #heardAt = 0;
  #silentSince = 0;
  #timer: ReturnType<typeof setInterval>;
  #off: (() => void)[] = [];
  #closed = false;
  #acked = -1;
  #ackTimer: ReturnType<typeof setTimeout> | undefined;
  /** Smallest difference seen between this clock and the kernel's, in seconds. */
  #offset = Infinity;

  constructor(readonly model: AnyModel<Traits>) {
    this.rows.put(model.get("recent"));
    this.rows.total = (model.get("recent").at(-1)?.row ?? -1) + 1;
    this.#listen("msg:custom", (content: unknown, buffers: DataView[]) => {
      void this.#receive(content, buffers ?? []);
    });
    this.#listen("change:selected", () => this.#emit("selected", model.get("selected")));
    this.#listen("change:caption", () => this.#emit("caption", model.get("caption")));
    // Jupyter's own word for a kernel that died or came back; a beat then tells which.
    this.#listen("comm_live_update", () => this.#beat());
    this.#timer = setInterval(() => this.#beat(), BEAT);
    this.#hello();
  }

  /** Leaves the kernel and the model: the last view of this page is gone. */
  close(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#ackTimer);
    this.#send({ kind: "bye", page: this.page });
    this.#closed = true;
    for (const off of this.#off) off();
    this.#listeners.clear();
  }

  // ---- for views -------------------------------------------------------------------------------

  /** Call `listener` for each value of a topic, or of several, until `signal` is aborted. */
  on<T extends keyof Topics>(
    topics: T | readonly T[],
    listener: Listener<Topics[T]>,
    signal: AbortSignal,
  ): void {
    for (const topic of [topics].flat() as T[]) {
      const listeners = this.#listeners.get(topic) ?? new Set();
      this.#listeners.set(topic, listeners.add(listener as Listener<never>));
      atEnd(signal, () => listeners.delete(listener as Listener<never>));
    }
  }

  /** Whether the kernel answers. */
  get connected(): boolean {
    return this.connection === "live";
  }

  get limits(): Limits | null {
    return this.welcome?.limits ?? null;
  }

  get selected(): number | null {
    return this.model.get("selected");
  }

  /** Selects a sample here and in Python. */
  select(sample: number | null): void {
    if (sample === this.selected) return;
    this.model.set("selected", sample);
    this.model.save_changes();
  }

  get caption(): boolean {
    return this.model.get("caption");
  }

  showCaption(shown: boolean): void {
    this.model.set("caption", shown);
    this.model.save_changes();
  }

  /** Asks for a sample's picture and answer; comes as topic "detail". */
  look(sample: number): void {
    this.#send({ kind: "look", sample });
  }

  wantModels(): void {
    this.#send({ kind: "want_models" });
  }

  /** Shows only rows that fit; "" shows all. */
  filter(query: string): void {
    this.query = query;
    this.#send({ kind: "filter", page: this.page, query });
    if (query === "") {
      this.matches = null;
      this.#emit("matches", null);
    }
  }

  control(action: Control["action"]): Promise<Outcome> {
    return this.#request({ kind: "control", action });
  }

  update(changes: Changes, restart = false): Promise<Outcome> {
    return this.#request({ kind: "update", changes, restart });
  }

  checkSchema(schema: string): Promise<Outcome> {
    return this.#request({ kind: "check_schema", schema });
  }

  /** A request of the Tune tab; what it asks for comes as topic "tuned". */
  tune(message: Tune["message"]): Promise<Outcome> {
    return this.#request({ kind: "tune", message });
  }

  /** A view says whether it can be seen; pictures come while one can. */
  setVisible(view: object, visible: boolean | null): void {
    if (visible === null) this.#visible.delete(view);
    else this.#visible.set(view, visible);
    if (this.visible !== this.#wasVisible) {
      this.#wasVisible = this.visible;
      this.#beat();
    }
  }

  get visible(): boolean {
    return [...this.#visible.values()].some(Boolean);
  }

  /** Seconds from a moment of the kernel's clock until now, transport at its fastest left out. */
  since(epoch: number): number {
    const offset = Number.isFinite(this.#offset) ? this.#offset : 0;
    return Math.max(0, Date.now() / 1000 - epoch - offset);
  }

  // ---- the wire --------------------------------------------------------------------------------

  #listen(event: string, listener: (...values: never[]) => void): void {
    this.model.on(event, listener as () => void);
    this.#off.push(() => this.model.off(event as never, listener as never));
  }

  #emit<T extends keyof Topics>(topic: T, value: Topics[T]): void {
    for (const listener of this.#listeners.get(topic) ?? []) {
      (listener as Listener<Topics[T]>)(value);
    }
  }

  #send(message: FromPage): void {
    if (this.#closed) return; // nothing is said after goodbye
    try {
      this.model.send(message);
    } catch {
      // Jupyter refuses to send where the kernel has gone.
      if (this.connected) this.#connect("silent");
    }
  }

  #hello(): void {
    this.#send({ kind: "hello", page: this.page, visible: this.visible });
  }

  #beat(): void {
    const now = performance.now();
    if (this.connection === "waiting") this.#hello();
    else this.#send({ kind: "beat", page: this.page, visible: this.visible });
    // Silence counts only while an answer is due.
    if (!this.visible) this.#silentSince = now;
    const quiet = now - Math.max(this.#heardAt, this.#silentSince);
    if (this.connected && quiet > SILENCE) this.#connect("silent");
  }

  #connect(connection: Connection): void {
    if (connection === this.connection) return;
    this.connection = connection;
    this.#emit("connection", connection);
  }

  #request(message: Unaddressed<Control | Update | CheckSchema | Tune>): Promise<Outcome> {
    const request = this.#nextRequest++;
    return new Promise((resolve) => {
      const settle = (outcome: Outcome) => {
        clearTimeout(timer);
        this.#requests.delete(request);
        resolve(outcome);
      };
      const timer = setTimeout(settle, REQUEST, { ok: false, problem: UNHEARD, restart: false });
      this.#requests.set(request, settle);
      this.#send({ ...message, page: this.page, request });
    });
  }

  async #receive(content: unknown, buffers: DataView[]): Promise<void> {
    const message = parse(content);
    if (message === null) return;
    this.#heardAt = performance.now();
    if ("sent_at" in message) {
      this.#offset = Math.min(this.#offset, Date.now() / 1000 - message.sent_at);
    }
    if (this.connection === "silent") this.#connect("live");
    // Words for another page; "" is for all.
    if ("page" in message && message.page !== this.page && message.page !== "") return;
    switch (message.kind) {
      case "welcome":
        this.welcome = message;
        this.prompts = message.prompts;
        this.#connect("live");
        this.#emit("welcome", message);
        this.#emit("prompts", message.prompts);
        if (this.query !== "") this.filter(this.query);
        return;
      case "status":
        this.status = message;
        this.timeline.runStart = message.run_start;
        this.rows.total = Math.max(this.rows.total, message.rows);
        this.#emit("status", message);
        return;
      case "picture":
        return this.#show(message, buffers);
      case "ticks": {
        const { times, fates } = decodeTicks(buffers);
        if (this.timeline.put(message.first, times, fates)) this.#emit("ticks", this.timeline);
        else if (this.connected) this.#hello(); // some were lost on the way
        return;
      }
      case "rows":
        this.rows.put(message.rows);
        this.rows.total = Math.max(this.rows.total, message.total);
        this.#emit("rows", this.rows);
        return;
      case "matches": {
        if (message.query !== this.query) return;
        const found = decodeMatches(buffers);
        this.matches = this.matches && message.append ? concat(this.matches, found) : found;
        this.#emit("matches", this.matches);
        return;
      }
      case "detail": {
        const detail = { message, jpeg: buffers.length > 0 ? jpegOf(buffers) : null };
        this.details.put(detail);
        this.#emit("detail", detail);
        return;
      }
      case "prompts":
        this.prompts = message.prompts;
        this.#emit("prompts", message.prompts);
        return;
      case "models":
        this.models = message.models;
        this.#emit("models", { models: message.models, error: message.error });
        return;
      case "tuned":
        this.#emit("tuned", { message: message.message, buffers });
        return;
      case "done":
        this.#requests.get(message.request)?.({ ok: true });
        return;
      case "refused": {
        const { page, request, problem, restart } = message;
        if (page === "") this.#emit("refused", problem);
        else this.#requests.get(request)?.({ ok: false, problem, restart });
        return;
      }
    }
  }

  async #show(message: Picture, buffers: DataView[]): Promise<void> {
    const bitmap = await createImageBitmap(jpegOf(buffers)).catch(() => null); // damaged
    try {
      if (bitmap) this.#emit("picture", { message, bitmap });
    } finally {
      bitmap?.close();
      // Also a picture that could not be drawn makes room for the next.
      this.#acknowledge(message.seq);
    }
  }

  /** Every other picture at once, a single one soon: each message costs the kernel. */
  #acknowledge(seq: number): void {
    clearTimeout(this.#ackTimer);
    const send = () => {
      this.#acked = seq;
      this.#send({ kind: "ack", page: this.page, seq });
    };
    if (seq - this.#acked >= ACK_EVERY) send();
    else this.#ackTimer = setTimeout(send, ACK_DELAY);
  }
}

function concat(a: Uint32Array, b: Uint32Array): Uint32Array {
  const both = new Uint32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
