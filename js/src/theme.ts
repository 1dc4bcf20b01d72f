/** Light or dark: whatever the page around the widget is, in any host. */

import { h } from "./dom";
import { atEnd, onFrame } from "./later";

/** Keeps `data-theme` of an element in step with what is behind it until `signal` is aborted. */
export function followTheme(el: HTMLElement, signal: AbortSignal): void {
  const apply = () => {
    el.dataset.theme = isDark(el) ? "dark" : "light";
  };
  const later = onFrame(signal, apply);
  // Each host tells its theme by an attribute of its own.
  const observer = new MutationObserver(later);
  for (const target of [document.documentElement, document.body]) {
    observer.observe(target, { attributes: true });
  }
  const media = matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", apply, { signal });
  atEnd(signal, () => observer.disconnect());
  later();
  apply();
}

function isDark(el: HTMLElement): boolean {
  // Through shadow roots too: some hosts put each widget in one.
  for (let node = around(el); node !== null; node = around(node)) {
    if (!(node instanceof Element)) continue;
    const [r, g, b, alpha] = rgba(getComputedStyle(node).backgroundColor);
    if (alpha > 127) return 0.2126 * r + 0.7152 * g + 0.0722 * b < 128;
  }
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

let pixel: CanvasRenderingContext2D | null = null;

/** A colour as it is painted: hosts write theirs as oklch() or color-mix(), too. */
function rgba(colour: string): [number, number, number, number] {
  if (pixel === null) {
    const canvas = h("canvas", { width: 1, height: 1 });
    pixel = canvas.getContext("2d", { willReadFrequently: true });
  }
  if (pixel === null) return [0, 0, 0, 0];
  pixel.clearRect(0, 0, 1, 1);
  pixel.fillStyle = colour;
  pixel.fillRect(0, 0, 1, 1);
  const [r = 0, g = 0, b = 0, a = 0] = pixel.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a];
}

function around(node: Node): Node | null {
  return node instanceof ShadowRoot ? node.host : node.parentNode;
}
