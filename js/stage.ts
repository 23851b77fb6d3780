/** The overlay's surroundings: the box that it shares with ipycanvas' canvas. */

/**
 * Makes the canvases beside an element inert, also those that come later, until the signal aborts.
 *
 * Otherwise ipycanvas sends a message for every move of the mouse, swallows the wheel and traps Tab.
 */
export function settle(element: HTMLElement, signal: AbortSignal): void {
  const watcher = new MutationObserver(() => quieten(element));
  // The element is rendered before it is put into the page; it gets its first size once it is there.
  const arrival = new ResizeObserver(() => {
    const stage = element.parentElement;
    if (!stage) return;
    watcher.observe(stage, { childList: true });
    quieten(element);
  });
  arrival.observe(element);
  signal.addEventListener("abort", () => {
    watcher.disconnect();
    arrival.disconnect();
  });
}

function quieten(element: HTMLElement): void {
  for (const sibling of element.parentElement?.children ?? []) {
    if (sibling instanceof HTMLCanvasElement) sibling.inert = true;
  }
}
