/**
 * What is particular to JupyterLab and ipywidgets: the canvas beside the overlay, the outputs of a notebook, and the
 * signs by which a kernel shows how it is.
 */

import type { AnyModel } from "@anywidget/types";
import type { SyncedState } from "./protocol.js";
import { hideSavedOutput } from "./view/saved-output.js";

/** ipywidgets' mark on the views of a kernel that has gone; anywidget's own view misses it, the box around it does not. */
const GONE = ".jupyter-widgets-disconnected";

type KernelModel = AnyModel<SyncedState>;

/**
 * Settles an element in its surroundings as soon as it is put into the page, until the signal aborts.
 *
 * The canvases beside it become inert, also those that come later: otherwise ipycanvas sends a message for every move
 * of the mouse, swallows the wheel and traps Tab.
 */
export function settle(element: HTMLElement, signal: AbortSignal): void {
  const watcher = new MutationObserver(() => quieten(element));
  // anywidget renders before the element is in the page; once it is, what is in it has a size.
  const arrival = new ResizeObserver(() => {
    const stage = element.parentElement;
    if (!stage) return;
    arrival.disconnect();
    watcher.observe(stage, { childList: true });
    quieten(element);
    hideSavedOutput(element, signal);
  });
  arrival.observe(element.querySelector(".rfwidget-overlay") ?? element);
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

/** Whether the kernel of the widget that an element belongs to has gone. */
export function hasLostKernel(element: HTMLElement): boolean {
  return element.closest(GONE) !== null;
}

/** Whether the widget manager tells how its kernel is; those of Colab and marimo do not. */
export function knowsKernel(model: KernelModel): boolean {
  return "kernel" in (model.widget_manager ?? {});
}

/** Whether JupyterLab's own connection calls the kernel idle; false where nobody knows, as in other hosts. */
export function isKernelIdle(model: KernelModel): boolean {
  return (model.widget_manager as { kernel?: { status?: unknown } | null } | undefined)?.kernel?.status === "idle";
}

/**
 * What to send along to be called when the kernel is idle again after a message; nothing where managers know no kernels:
 * marimo takes callbacks for a function.
 */
export function whenIdle(model: KernelModel, callback: () => void): Parameters<KernelModel["send"]>[1] {
  const status = (reply: unknown) => saysIdle(reply) && callback();
  return knowsKernel(model) ? { iopub: { status } } : undefined;
}

/** Whether a kernel's status message says that it has become idle. */
function saysIdle(reply: unknown): boolean {
  return (reply as { content?: { execution_state?: unknown } } | null)?.content?.execution_state === "idle";
}

/** The model of ipycanvas' MultiCanvas under the overlay; null if there is none, or it cannot be found. */
export async function findCanvas(model: KernelModel): Promise<unknown> {
  const id = model.get("canvas");
  try {
    return id ? await model.widget_manager.get_model(id) : null;
  } catch {
    return null; // marimo, say, shows no other widgets, and Colab finds no script for it
  }
}
