/** Elements without markup: text stays text, whatever a layer or an exception is called. */

const SVG = "http://www.w3.org/2000/svg";

type Attributes = Record<string, string | number>;

/** An HTML element of a class, with attributes and children. */
export function html<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  attributes: Attributes = {},
  children: readonly (Node | string)[] = [],
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  element.className = className;
  assign(element, attributes);
  element.append(...children);
  return element;
}

/** An SVG element of a class, with children. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  className: string,
  children: readonly (Node | string)[] = [],
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, tag);
  element.setAttribute("class", className);
  element.append(...children);
  return element;
}

/** A button with words on it. */
export function button(kind: string, words: string | Node, attributes: Attributes = {}): HTMLButtonElement {
  return html("button", kind, { type: "button", ...attributes }, [words]);
}

/** The title of a part, for those who see it and those who hear it. */
export function heading(...words: readonly (Node | string)[]): HTMLElement {
  return html("div", "rfwidget-title", { role: "heading", "aria-level": 2 }, words);
}

/** Sets attributes, and touches only those that change. */
export function assign(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (element.getAttribute(name) !== `${value}`) element.setAttribute(name, `${value}`);
  }
}

/** Sets an attribute, or takes it away if the value is null. */
export function toggle(element: Element, name: string, value: string | null): void {
  if (value === null) element.removeAttribute(name);
  else assign(element, { [name]: value });
}

/**
 * Sets a text, or that of an element, if it changes: a live region speaks at every change.
 *
 * A text that is there is changed, not replaced: of another node the browser works out the style of much around it.
 */
export function say(where: Element | Text, text: string): void {
  if (where.textContent === text) return;
  const { firstChild } = where;
  if (where instanceof Text) where.data = text;
  else if (text && firstChild instanceof Text && !firstChild.nextSibling) firstChild.data = text;
  else where.textContent = text;
}

/** Shows an element, or hides it; the browser would work out its style anew if it were told what is so already. */
export function show(element: HTMLElement | SVGElement, shown: boolean): void {
  if (element instanceof SVGElement) style(element, { display: shown ? "" : "none" });
  else if (element.hidden === shown) element.hidden = !shown;
}

/** Sets properties of an element's style, and touches only those that change. */
export function style(element: HTMLElement | SVGElement, properties: Record<string, string>): void {
  for (const [name, value] of Object.entries(properties)) {
    if (element.style.getPropertyValue(name) !== value) element.style.setProperty(name, value);
  }
}

/** Gives an element a size and a place in CSS pixels. */
export function place(
  element: HTMLElement | SVGElement,
  { left = 0, top = 0, width, height }: { left?: number; top?: number; width: number; height: number },
): void {
  style(element, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
}

/** An entry of a list. */
export function option(words: string, value = words): HTMLOptionElement {
  return html("option", "", { value }, [words]);
}

/** Gives a list these options, in words of their own, and shows the chosen one; touches only what changes. */
export function choices(
  list: HTMLSelectElement,
  names: readonly string[],
  chosen: string,
  words: (name: string) => string = (name) => name,
): void {
  const same = list.options.length === names.length && names.every((name, k) => list.options[k]?.value === name);
  if (!same) list.replaceChildren(...names.map((name) => option(words(name), name)));
  if (list.value !== chosen) list.value = chosen;
}
