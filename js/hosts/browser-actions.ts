/** What the kernel cannot do itself and asks a page for: saving a file, and putting a text on the clipboard. */

import type { Copy, Download } from "../protocol.js";
import { html } from "../view/dom.js";

/**
 * Does what a message of the kernel asks for.
 *
 * Messages reach every page of a kernel; only the one that the user is looking at acts.
 *
 * @returns whether it has been done
 */
export async function doBrowserAction(message: Download | Copy): Promise<boolean> {
  if (!document.hasFocus()) return false;
  if (message.kind === "copy") return copy(message.text);
  save(message.name, message.content);
  return true;
}

function save(name: string, content: DataView): void {
  const url = URL.createObjectURL(new Blob([content as DataView<ArrayBuffer>], { type: typeOf(name) }));
  html("a", "", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function typeOf(name: string): string {
  return name.endsWith(".html") ? "text/html" : "image/png";
}

async function copy(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Pages that are not served securely have no clipboard but this one.
    const field = html("textarea", "", { "aria-hidden": "true", style: "position: fixed; opacity: 0" });
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}
