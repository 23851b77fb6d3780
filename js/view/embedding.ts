/**
 * A page in a frame of another one: the fragment of its address says which colours that has, and it says how high it is.
 *
 * Both work between files on a disk, which browsers let see nothing of each other.
 */

/** What is sent to the page around, whenever the height changes. */
export interface HeightMessage {
  type: "rfwidget-height";
  /** CSS pixels that the page needs. */
  height: number;
}

/** Light or dark as the fragment says, `#light` or `#dark`; without one, as the reader's system is. */
export function followFragment(root: HTMLElement, address: { hash: string }, window: EventTarget): void {
  const follow = () => {
    const scheme = address.hash.slice(1);
    root.style.colorScheme = scheme === "light" || scheme === "dark" ? scheme : "";
  };
  window.addEventListener("hashchange", follow);
  follow();
}

/** Tells the page around how high this one is. */
export function tellHeight(body: HTMLElement, tell: (message: HeightMessage) => void): void {
  new ResizeObserver(() => tell({ type: "rfwidget-height", height: body.offsetHeight })).observe(body);
}
