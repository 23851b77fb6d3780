/** What the kernel cannot do itself and asks a page for: saving a file, and putting a text on the clipboard. */

import { html } from "../view/dom.js";

/**
 * Does what a message of the kernel asks for, if it asks for a favour.
 *
 * Messages reach every page of a kernel; only the one that the user is looking at acts.
 */
export async function doFavour(content: unknown, buffers: readonly DataView[] = []): Promise<void> {
  if (typeof content !== "object" || content === null || !document.hasFocus()) return;
  const { kind, name, text } = content as Record<string, unknown>;
  if (kind === "download" && typeof name === "string" && buffers[0]) save(name, buffers[0]);
  if (kind === "copy" && typeof text === "string") await copy(text);
}

function save(name: string, content: DataView): void {
  const url = URL.createObjectURL(new Blob([content as DataView<ArrayBuffer>], { type: "image/png" }));
  html("a", "", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Pages that are not served securely have no clipboard but this one.
    const field = html("textarea", "", { "aria-hidden": "true", style: "position: fixed; opacity: 0" });
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
}
