import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { tuneTab, type FillTune } from "../src/tune_tab";
import { fake, type Fake } from "./fake_session";
import { settled } from "./pictures";

let page: Fake;
const below = document.createElement("div");

beforeEach(() => {
  vi.useFakeTimers();
  page = fake();
});
afterEach(() => {
  page.end();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const open = async (tab: ReturnType<typeof tuneTab>) => {
  tab.shown?.(true);
  await settled();
};
const tunes = () => page.sent.filter(({ kind }) => kind === "tune");

it("asks for nothing until it is opened", () => {
  const tab = tuneTab(page.view, below);
  page.welcome();
  tab.shown?.(false);
  expect(tunes()).toEqual([]);
  expect(page.view.root.hasAttribute("data-tune")).toBe(false);
});

it("says that it needs a kernel where there is none, and loads when one comes", async () => {
  const show = vi.fn();
  const fill = vi.fn<FillTune>(() => show);
  const tab = tuneTab(page.view, below, () => Promise.resolve(fill));
  await open(tab);
  expect(tab.body.textContent).toContain("needs the kernel");
  expect(fill).not.toHaveBeenCalled();
  page.welcome();
  await settled();
  expect(fill).toHaveBeenCalledWith(page.view, tab.body, below);
  expect(show).toHaveBeenLastCalledWith(true);
  expect(page.view.root.hasAttribute("data-tune")).toBe(true);
  expect(tab.body.textContent).toBe("");
  tab.shown?.(false);
  expect(show).toHaveBeenLastCalledWith(false);
  expect(page.view.root.hasAttribute("data-tune")).toBe(false);
  await open(tab);
  expect(fill).toHaveBeenCalledTimes(1);
});

it("says why its module did not come, and asks again when it is opened again", async () => {
  page.welcome();
  const tab = tuneTab(page.view, below);
  await open(tab);
  expect(tab.body.textContent).toBe("Loading…");
  const refuse = async () => {
    const { request } = page.last("tune");
    const problem = { message: "It was not built", advice: "Build it." };
    page.say({ kind: "refused", page: page.session.page, request, problem, restart: false });
    await settled();
  };
  expect(page.last("tune").message).toEqual({ kind: "want_script" });
  await refuse();
  expect(tab.body.textContent).toBe("It was not built. Build it.");
  await open(tab);
  expect(tunes()).toHaveLength(2);
});

it("imports what the kernel sends", async () => {
  const url = vi.spyOn(URL, "createObjectURL").mockReturnValue(
    "data:text/javascript,export default (view, body) => { body.append('tuned'); return () => {} }",
  );
  const revoke = vi.spyOn(URL, "revokeObjectURL").mockReturnValue();
  page.welcome();
  const tab = tuneTab(page.view, below);
  await open(tab);
  const script = new TextEncoder().encode("export default 1");
  const from = page.session.page;
  page.say({ kind: "tuned", page: "", message: { kind: "script" } }, [new DataView(script.buffer)]);
  page.say({ kind: "done", page: from, request: page.last("tune").request });
  vi.useRealTimers();
  await vi.waitFor(() => expect(tab.body.textContent).toBe("tuned"));
  const blob = url.mock.calls[0]?.[0] as Blob;
  expect(await blob.text()).toBe("export default 1");
  expect(revoke).toHaveBeenCalled();
});

it("gives its place in memory back where a host forbids it, and says so", async () => {
  vi.spyOn(URL, "createObjectURL").mockReturnValue("data:text/javascript,throw Error('forbidden')");
  const revoke = vi.spyOn(URL, "revokeObjectURL").mockReturnValue();
  page.welcome();
  const tab = tuneTab(page.view, below);
  await open(tab);
  const { request } = page.last("tune");
  page.say({ kind: "done", page: page.session.page, request });
  vi.useRealTimers();
  await vi.waitFor(() => expect(tab.body.textContent).toBe("forbidden"));
  expect(revoke).toHaveBeenCalledTimes(1);
});

it("fills nothing once its view has gone", async () => {
  const fill = vi.fn<FillTune>(() => vi.fn());
  const tab = tuneTab(page.view, below, () => Promise.resolve(fill));
  page.welcome();
  tab.shown?.(true);
  page.end();
  await settled();
  expect(fill).not.toHaveBeenCalled();
});
