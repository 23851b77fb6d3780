/**
 * The picture that a saved notebook shows without a kernel, hidden while the live view above it is alive.
 *
 * rfwidget/widget/saved_output.py writes it as the output right below the view. Our PNG files name their maker in a text
 * chunk at the beginning, so that no picture of the user's own is ever hidden.
 */

/** The text chunk of rfwidget/widget/png.py. */
const MARK = "Software\0rfwidget";
/** Characters of the base64 text that hold it: header, size and the first text chunk, in whole groups of four. */
const HEAD = 160;
const PREFIX = "data:image/png;base64,";
const OUTPUT = ".jp-OutputArea-child";

/** Hides the saved output below the output that holds an element, until the signal aborts. */
export function hideSavedOutput(element: HTMLElement, signal: AbortSignal): void {
  const output = element.closest(OUTPUT);
  if (!output?.parentElement) return;
  let hidden: HTMLElement | null = null;
  const hide = () => {
    const below = output.nextElementSibling;
    // The renewed picture may come in a new place, and pictures are rendered some time after their output.
    watcher.disconnect();
    if (output.parentElement) watcher.observe(output.parentElement, { childList: true });
    if (!(below instanceof HTMLElement)) return;
    watcher.observe(below, { childList: true, subtree: true, attributes: true, attributeFilter: ["src"] });
    const picture = below.querySelector("img");
    if (!picture || !isSavedOutput(picture.src)) return;
    below.style.display = "none";
    hidden = below;
  };
  const watcher = new MutationObserver(hide);
  hide();
  signal.addEventListener("abort", () => {
    watcher.disconnect();
    hidden?.style.removeProperty("display");
  });
}

/** Whether a data address holds a PNG file with the mark. */
export function isSavedOutput(source: string): boolean {
  if (!source.startsWith(PREFIX)) return false;
  try {
    return atob(source.slice(PREFIX.length, PREFIX.length + HEAD)).includes(MARK);
  } catch {
    return false; // no base64, so none of ours
  }
}
