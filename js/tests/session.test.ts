import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { FromPage } from "../src/messages";
import type { Connection, Outcome } from "../src/session";
import { fake, type Fake } from "./fake_session";
import { picture, settled, stubPictures, ticks } from "./pictures";
import { row } from "./rows";

let page: Fake;
const endless = new AbortController().signal;
const kinds = () => page.sent.map(({ kind }) => kind);
const count = (kind: FromPage["kind"]) => kinds().filter((sent) => sent === kind).length;

beforeEach(() => {
  vi.useFakeTimers();
  page = fake();
});
afterEach(() => {
  page.end();
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

function connections(): Connection[] {
  const seen: Connection[] = [];
  page.session.on("connection", (connection) => seen.push(connection), endless);
  return seen;
}

/** Row numbers of a `matches` message as its buffer. */
const numbers = (...rows: number[]) => [new DataView(Uint32Array.from(rows).buffer)];

describe("a page that begins", () => {
  it("greets until it is welcomed, and then only shows that it lives", () => {
    expect(kinds()).toEqual(["hello"]);
    vi.advanceTimersByTime(6000);
    expect(kinds()).toEqual(["hello", "hello", "hello", "hello"]);
    page.welcome();
    vi.advanceTimersByTime(4000);
    expect(kinds().slice(4)).toEqual(["beat", "beat"]);
    expect(page.last("beat")).toEqual({ kind: "beat", page: page.session.page, visible: false });
  });

  it("is not welcomed by what another page is told", () => {
    const seen = connections();
    page.welcome({ page: "another" });
    expect(page.session.welcome).toBeNull();
    expect(seen).toEqual([]);
    page.welcome();
    expect(seen).toEqual(["live"]);
    expect(page.session.limits).not.toBeNull();
  });

  it("holds what the notebook kept before anybody answers", () => {
    page.end();
    page = fake({ recent: [row(8), row(9)] });
    expect(page.session.rows.total).toBe(10);
    expect(page.session.rows.peek(9)?.row).toBe(9);
    expect(page.session.connected).toBe(false);
  });

  it("lets foreign messages pass", () => {
    const seen = connections();
    page.emit("msg:custom", { kind: "of a newer kernel" }, []);
    page.emit("msg:custom", null, undefined);
    expect(seen).toEqual([]);
  });
});

describe("whether it can be seen", () => {
  beforeEach(() => page.welcome());

  it("is told at once when it changes, for all views together", () => {
    const [one, other] = [{}, {}];
    page.session.setVisible(one, true);
    expect(page.last("beat").visible).toBe(true);
    page.session.setVisible(other, true);
    page.session.setVisible(one, false);
    expect(count("beat")).toBe(1);
    page.session.setVisible(other, null);
    expect(count("beat")).toBe(2);
    expect(page.last("beat").visible).toBe(false);
  });
});

describe("a kernel that says nothing", () => {
  beforeEach(() => {
    page.welcome();
    page.session.setVisible(page, true);
  });

  it("is silent after seven seconds, and back with its next word", () => {
    const seen = connections();
    vi.advanceTimersByTime(6000);
    expect(seen).toEqual([]);
    vi.advanceTimersByTime(2000);
    expect(seen).toEqual(["silent"]);
    page.status();
    expect(seen).toEqual(["silent", "live"]);
  });

  it("owes nothing to a page that is not looked at", () => {
    page.session.setVisible(page, false);
    const seen = connections();
    vi.advanceTimersByTime(60_000);
    expect(seen).toEqual([]);
    page.session.setVisible(page, true);
    vi.advanceTimersByTime(6000);
    expect(seen).toEqual([]);
    vi.advanceTimersByTime(2000);
    expect(seen).toEqual(["silent"]);
  });

  it("is known to be gone where the host refuses to send", () => {
    const seen = connections();
    page.refuse(true);
    page.emit("comm_live_update");
    expect(seen).toEqual(["silent"]);
    page.refuse(false);
    page.status();
    expect(seen).toEqual(["silent", "live"]);
  });
});

describe("a picture", () => {
  beforeEach(() => page.welcome());

  it("is drawn before it is acknowledged, and acknowledged by itself if no other comes", async () => {
    const drawn = stubPictures();
    page.session.on("picture", () => expect(drawn.close).not.toHaveBeenCalled(), endless);
    await picture(page, { seq: 0 });
    expect(drawn.close).toHaveBeenCalledOnce();
    expect(count("ack")).toBe(0);
    vi.advanceTimersByTime(200);
    expect(page.last("ack")).toEqual({ kind: "ack", page: page.session.page, seq: 0 });
  });

  it("is acknowledged along with the one before it", async () => {
    stubPictures();
    await picture(page, { seq: 0 });
    await picture(page, { seq: 1 });
    expect(page.last("ack").seq).toBe(1);
    vi.advanceTimersByTime(1000);
    expect(count("ack")).toBe(1);
  });

  it("makes room for the next also if it cannot be decoded", async () => {
    vi.stubGlobal("createImageBitmap", () => Promise.reject(new Error("damaged")));
    const shown = vi.fn();
    page.session.on("picture", shown, endless);
    await picture(page, { seq: 7 });
    vi.advanceTimersByTime(200);
    expect(shown).not.toHaveBeenCalled();
    expect(page.last("ack").seq).toBe(7);
  });
});

describe("ticks", () => {
  it("that do not follow on those that are known are asked for anew", () => {
    page.welcome();
    const seen = vi.fn();
    page.session.on("ticks", seen, endless);
    ticks(page, 0, "result", "waiting");
    expect(seen).toHaveBeenCalledOnce();
    const greetings = count("hello");
    ticks(page, 5, "result");
    expect(seen).toHaveBeenCalledOnce();
    expect(count("hello")).toBe(greetings + 1);
    expect(page.session.timeline.length).toBe(2);
  });
});

describe("a request", () => {
  let outcomes: Outcome[];
  const ask = (promise: Promise<Outcome>) => void promise.then((outcome) => outcomes.push(outcome));
  const problem = { message: "No", advice: "Try another" };
  beforeEach(() => {
    outcomes = [];
    page.welcome();
  });

  it("is settled by its number, whichever is answered first", async () => {
    ask(page.session.control("pause"));
    ask(page.session.update({ prompt: "x" }, true));
    const [first, second] = [page.last("control"), page.last("update")];
    expect(second).toMatchObject({ changes: { prompt: "x" }, restart: true });
    expect(first.request).not.toBe(second.request);
    const { page: name } = page.session;
    page.say({ kind: "refused", page: name, request: second.request, problem, restart: true });
    await settled();
    expect(outcomes).toEqual([{ ok: false, problem, restart: true }]);
    page.say({ kind: "done", page: name, request: first.request });
    await settled();
    expect(outcomes[1]).toEqual({ ok: true });
  });

  it("is not settled by the answer to another page", async () => {
    ask(page.session.checkSchema("{}"));
    const { request } = page.last("check_schema");
    page.say({ kind: "done", page: "another", request });
    page.say({ kind: "refused", page: "another", request, problem, restart: false });
    await settled();
    expect(outcomes).toEqual([]);
  });

  it("fails when the kernel does not answer it", async () => {
    ask(page.session.control("stop"));
    await vi.advanceTimersByTimeAsync(19_000);
    expect(outcomes).toEqual([]);
    await vi.advanceTimersByTimeAsync(1500);
    expect(outcomes).toMatchObject([{ ok: false, restart: false }]);
    // Too late: it was told already.
    page.say({ kind: "done", page: page.session.page, request: page.last("control").request });
    await settled();
    expect(outcomes).toHaveLength(1);
  });

  it("that came from Python is refused to all", () => {
    const refused = vi.fn();
    page.session.on("refused", refused, endless);
    page.say({ kind: "refused", page: "", request: 1, problem, restart: false });
    expect(refused).toHaveBeenCalledExactlyOnceWith(problem);
  });
});

describe("a filter", () => {
  let found: (number[] | null)[];
  const matches = (query: string, append: boolean, ...rows: number[]) =>
    page.say({ kind: "matches", page: page.session.page, query, append }, numbers(...rows));
  beforeEach(() => {
    page.welcome();
    found = [];
    page.session.on("matches", (rows) => found.push(rows && [...rows]), endless);
  });

  it("finds rows, and then more of them", () => {
    page.session.filter("cat");
    expect(page.last("filter").query).toBe("cat");
    matches("cat", false, 1, 4);
    matches("cat", true, 9);
    matches("cat", false, 4);
    expect(found).toEqual([[1, 4], [1, 4, 9], [4]]);
  });

  it("does not take rows for another query or another page", () => {
    page.session.filter("dog");
    matches("cat", false, 1);
    page.say({ kind: "matches", page: "another", query: "dog", append: false }, numbers(2));
    expect(found).toEqual([]);
  });

  it("is taken away at once", () => {
    page.session.filter("cat");
    matches("cat", false, 1);
    page.session.filter("");
    expect(found).toEqual([[1], null]);
    expect(page.last("filter").query).toBe("");
  });

  it("is said again to a kernel that welcomes anew", () => {
    page.session.filter("cat");
    page.welcome();
    expect(count("filter")).toBe(2);
    expect(page.last("filter").query).toBe("cat");
  });
});

describe("listeners", () => {
  it("hear of one topic or several until their signal is aborted", () => {
    const ending = new AbortController();
    const heard = vi.fn();
    page.session.on(["caption", "selected"], heard, ending.signal);
    page.session.select(3);
    page.session.showCaption(false);
    expect(heard.mock.calls).toEqual([[3], [false]]);
    ending.abort();
    page.session.select(4);
    expect(heard).toHaveBeenCalledTimes(2);
  });
});

describe("closing", () => {
  it("says goodbye, and leaves neither listeners nor timers", () => {
    page.welcome();
    const seen = connections();
    expect(page.listeners()).toBeGreaterThan(0);
    page.session.close();
    expect(page.sent.at(-1)).toEqual({ kind: "bye", page: page.session.page });
    expect(page.listeners()).toBe(0);
    const before = page.sent.length;
    vi.advanceTimersByTime(60_000);
    page.status();
    expect(page.sent).toHaveLength(before);
    expect(seen).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("acknowledges no picture that was still being decoded", async () => {
    stubPictures();
    const shown = vi.fn();
    page.session.on("picture", shown, endless);
    const drawn = picture(page);
    page.session.close();
    await drawn;
    vi.advanceTimersByTime(1000);
    expect(shown).not.toHaveBeenCalled();
    expect(kinds().at(-1)).toBe("bye");
  });
});
