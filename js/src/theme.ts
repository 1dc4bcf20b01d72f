/** Light or dark: whatever the page around the widget is, in any host. */

/** Keeps `data-theme` of an element in step with what is behind it until `signal` is aborted. */
export function followTheme(el: HTMLElement, signal: AbortSignal): void {
  const apply = () => {
    el.dataset.theme = isDark(el) ? "dark" : "light";
  };
  const observer = new MutationObserver(() => requestAnimationFrame(apply));
  const attributeFilter = ["class", "style", "data-jp-theme-light", "data-theme", "data-vscode-theme-kind"];
  for (const target of [document.documentElement, document.body]) {
    observer.observe(target, { attributes: true, attributeFilter });
  }
  const media = matchMedia("(prefers-color-scheme: dark)");
  media.addEventListener("change", apply, { signal });
  signal.addEventListener("abort", () => observer.disconnect());
  requestAnimationFrame(apply);
  apply();
}

function isDark(el: HTMLElement): boolean {
  // Through shadow roots too: some hosts put each widget in one.
  for (let node: Node | null = el.parentNode; node !== null; node = parent(node)) {
    if (!(node instanceof Element)) continue;
    const colour = getComputedStyle(node).backgroundColor;
    const [r, g, b, alpha = 1] = (colour.match(/[\d.]+/g) ?? []).map(Number);
    if (r !== undefined && g !== undefined && b !== undefined && alpha > 0.5) {
      return 0.2126 * r + 0.7152 * g + 0.0722 * b < 128;
    }
  }
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

function parent(node: Node): Node | null {
  return node instanceof ShadowRoot ? node.host : node.parentNode;
}
