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

/** Sets an element's text, if it changes: a live region speaks at every change. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Gives an element a size and a place in CSS pixels. */
export function place(
  element: HTMLElement | SVGElement,
  { left = 0, top = 0, width, height }: { left?: number; top?: number; width: number; height: number },
): void {
  Object.assign(element.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
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
