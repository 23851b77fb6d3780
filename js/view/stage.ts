/** The overlay's surroundings: the box that it shares with ipycanvas' canvas, and the outputs of a notebook. */

import { hideSavedOutput } from "./saved-output.js";

/**
 * Settles an element in its surroundings as soon as it is put into the page, until the signal aborts.
 *
 * The canvases beside it become inert, also those that come later: otherwise ipycanvas sends a message for every move
 * of the mouse, swallows the wheel and traps Tab.
 */
export function settle(element: HTMLElement, signal: AbortSignal): void {
  const watcher = new MutationObserver(() => quieten(element));
  // anywidget renders before the element is in the page; once it is, it has a size.
  const arrival = new ResizeObserver(() => {
    const stage = element.parentElement;
    if (!stage) return;
    arrival.disconnect();
    watcher.observe(stage, { childList: true });
    quieten(element);
    hideSavedOutput(element, signal);
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
