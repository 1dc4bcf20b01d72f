import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { followTheme } from "../src/theme";

/** Colours as a browser would paint them: red, green, blue, alpha. */
const PAINTED: Record<string, [number, number, number, number]> = {
  white: [255, 255, 255, 255],
  black: [17, 17, 17, 255],
  blue: [0, 0, 255, 255],
  yellow: [255, 255, 0, 255],
  glass: [0, 0, 0, 20],
};

/** A canvas of one pixel; happy-dom has none. */
const context = {
  fillStyle: "",
  clearRect: () => undefined,
  fillRect: () => undefined,
  getImageData: () => ({ data: PAINTED[context.fillStyle] ?? [0, 0, 0, 0] }),
};

let ending: AbortController;
let dark: boolean;
let inner: HTMLElement;
const media = new EventTarget();
const paint = (el: HTMLElement, colour: string) => el.setAttribute("data-colour", colour);

beforeEach(() => {
  vi.useFakeTimers();
  ending = new AbortController();
  dark = false;
  vi.stubGlobal("matchMedia", () =>
    Object.assign(media, {
      get matches() {
        return dark;
      },
    }),
  );
  vi.stubGlobal("getComputedStyle", (el: HTMLElement) => ({
    backgroundColor: el.getAttribute("data-colour") ?? "transparent",
  }));
  vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockReturnValue(context as never);
  inner = document.createElement("section");
});
afterEach(() => {
  ending.abort();
  document.body.replaceChildren();
  document.body.removeAttribute("data-colour");
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** The theme of a widget in a cell of this colour on a page of that one. */
function theme(
  cell: string,
  page: string,
  host: ParentNode & Node = document.createElement("div"),
) {
  paint(document.body, page);
  const el = host instanceof ShadowRoot ? (host.host as HTMLElement) : (host as HTMLElement);
  paint(el, cell);
  document.body.append(el);
  host.append(inner);
  followTheme(inner, ending.signal);
  return inner.dataset.theme;
}

describe("the theme", () => {
  it.each([
    ["white", "black", "light"],
    ["black", "white", "dark"],
    ["transparent", "black", "dark"],
    ["glass", "white", "light"],
    ["blue", "white", "dark"],
    ["yellow", "black", "light"],
  ])("in a cell of %s on a page of %s is %s", (cell, page, expected) => {
    expect(theme(cell, page)).toBe(expected);
  });

  it("is the browser's where nothing behind the widget has a colour", () => {
    dark = true;
    expect(theme("transparent", "transparent")).toBe("dark");
  });

  it("is found through the shadow roots that some hosts put widgets in", () => {
    const outer = document.createElement("div");
    const host = outer.attachShadow({ mode: "open" });
    expect(theme("transparent", "black", host)).toBe("dark");
    inner.dataset.theme = "";
    paint(outer, "white");
    media.dispatchEvent(new Event("change"));
    expect(inner.dataset.theme).toBe("light");
  });

  it("follows the page until the view goes", async () => {
    expect(theme("transparent", "white")).toBe("light");
    const change = async (colour: string) => {
      paint(document.body, colour);
      await vi.advanceTimersByTimeAsync(50);
    };
    await change("black");
    expect(inner.dataset.theme).toBe("dark");
    ending.abort();
    await change("white");
    media.dispatchEvent(new Event("change"));
    expect(inner.dataset.theme).toBe("dark");
  });
});
