/**
 * Elements without HTML text: whatever a model, a prompt or an error says ends in a text node.
 */

export type Child = Node | string | null | undefined | false;

type Attribute = string | number | boolean | null | undefined;
type Listeners = { [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void };

/** Attributes by name (`true` sets one empty, `false` and null leave it out), and besides: */
export interface Props {
  text?: string;
  on?: Listeners;
  [attribute: string]: Attribute | Listeners;
}

/** A new element; `props` may be its class alone. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props | string = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const el = document.createElement(tag);
  const { text, on, ...attributes } = typeof props === "string" ? { class: props } : props;
  setAttrs(el, attributes as Record<string, Attribute>);
  for (const [name, listener] of Object.entries(on ?? {})) {
    el.addEventListener(name, listener as EventListener);
  }
  fill(el, text, ...children);
  return el;
}

type Build<E> = (props?: Props | string, ...children: Child[]) => E;
/** The two elements that most parts are made of. */
export const div: Build<HTMLDivElement> = (...rest) => h("div", ...rest);
export const span: Build<HTMLSpanElement> = (...rest) => h("span", ...rest);

/** A new SVG element. */
export function svg(
  tag: string,
  attributes: Record<string, Attribute>,
  ...children: Node[]
): SVGElement {
  const el = document.createElementNS("http://www.w3.org/2000/svg", tag) as SVGElement;
  setAttrs(el, attributes);
  el.append(...children);
  return el;
}

/** Set an attribute, only when it changes; `false` and null take it away. */
export function setAttr(el: Element, name: string, value: Attribute): void {
  const text = value === true ? "" : String(value);
  if (value === null || value === undefined || value === false) el.removeAttribute(name);
  else if (el.getAttribute(name) !== text) el.setAttribute(name, text);
}

function setAttrs(el: Element, attributes: Record<string, Attribute>): void {
  for (const [name, value] of Object.entries(attributes)) setAttr(el, name, value);
}

/** Replace what an element holds. */
export function fill(el: Element, ...children: Child[]): void {
  const isNode = (child: Child): child is Node | string => (child ?? false) !== false;
  el.replaceChildren(...children.filter(isNode));
}

/** Set text only when it changed, so that a screen reader is not told again. */
export function setText(el: Element, text: string): void {
  if (el.textContent !== text) el.textContent = text;
}

/** What has the focus where `el` is: in the page, or in the shadow root around the widget. */
export function focused(el: Element): Element | null {
  return (el.getRootNode() as Document | ShadowRoot).activeElement;
}

/** Gives an element the focus, and leaves the page where it is. */
export function focusOn(el: HTMLElement): void {
  el.focus({ preventScroll: true });
}

/** Whether a key is pressed for the browser or the host rather than for the widget. */
export function modified({ ctrlKey, metaKey, altKey }: KeyboardEvent): boolean {
  return ctrlKey || metaKey || altKey;
}

/** Marks a key as dealt with: neither browser nor host acts on it. */
export function taken(event: Event): void {
  event.preventDefault();
  event.stopPropagation();
}

/** 16 x 16 line icons, drawn in the text's colour. */
const ICONS = {
  play: "M5 3.2v9.6l8-4.8z",
  pause: "M4.5 3h2.5v10H4.5zM9 3h2.5v10H9z",
  stop: "M4 4h8v8H4z",
  restart:
    "M8 3a5 5 0 1 0 4.9 6h-1.6A3.5 3.5 0 1 1 8 4.5c.9 0 1.7.35 2.3.9L8.5 7.2H13V2.7l-1.6 1.6A5 5 0 0 0 8 3z",
  caption: "M2 3.5h12v9H2zM4 9.5h5v1.2H4zM10 9.5h2v1.2h-2z",
  close: "M4.2 3.2 8 7l3.8-3.8 1 1L9 8l3.8 3.8-1 1L8 9l-3.8 3.8-1-1L7 8 3.2 4.2z",
  search:
    "M7 2.5a4.5 4.5 0 1 0 2.7 8.1l3 3 1-1-3-3A4.5 4.5 0 0 0 7 2.5zM7 4a3 3 0 1 1 0 6 3 3 0 0 1 0-6z",
  previous: "M10.3 2.6 11.4 3.7 7.1 8l4.3 4.3-1.1 1.1L4.9 8z",
  next: "M5.7 2.6 4.6 3.7 8.9 8l-4.3 4.3 1.1 1.1L11.1 8z",
  copy: "M5.5 2h7v8.5h-7zM7 3.5V9h4V3.5zM3.5 5v7.5H10V14H2V5z",
  warning: "M8 2 1.5 13.5h13zM7.3 6.5h1.4v3.6H7.3zm0 4.6h1.4v1.4H7.3z",
} as const;
export type IconName = keyof typeof ICONS;

export function icon(name: IconName): SVGElement {
  return svg(
    "svg",
    {
      viewBox: "0 0 16 16",
      width: 16,
      height: 16,
      fill: "currentColor",
      "fill-rule": "evenodd",
      "aria-hidden": "true",
    },
    svg("path", { d: ICONS[name] }),
  );
}

/** A button with an icon; its label is its accessible name and its tooltip. */
export function iconButton(
  name: IconName,
  label: string,
  press: () => void,
  look = "ov-icon-button",
): HTMLButtonElement {
  const el = button(icon(name), press, look);
  setAttrs(el, { title: label, "aria-label": label });
  return el;
}

/** A button with a text, or whatever it shows. */
export function button(shown: Child, press: () => void, look = "ov-button"): HTMLButtonElement {
  return h("button", { class: look, type: "button", on: { click: press } }, shown);
}

/** A name that chance does not give twice. */
export function randomName(): string {
  return Math.random().toString(36).slice(2, 12);
}

let ids = 0;
const copy = randomName();

/** An id that no other element has, of this module's copy or of another's. */
export function uniqueId(): string {
  return `ov-${copy}-${ids++}`;
}
