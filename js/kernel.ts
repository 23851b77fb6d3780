/**
 * The overlay over a kernel: the module that anywidget loads.
 *
 * anywidget calls the default export once per model and page, so what the views of a model share (the request queue,
 * the last picture) lives in one host.
 */

import type { AnyWidget, InitializeProps, RenderProps } from "@anywidget/types";
import { KernelHost } from "./hosts/kernel-host.js";
import { settle } from "./jupyter.js";
import type { SyncedState } from "./protocol.js";
import { mount } from "./view/overlay.js";

function widget() {
  let host: KernelHost | null = null;
  return {
    initialize({ model }: Pick<InitializeProps<SyncedState>, "model">) {
      host = new KernelHost(model);
      return () => host?.close();
    },
    render({ model, el }: Pick<RenderProps<SyncedState>, "model" | "el">) {
      host ??= new KernelHost(model);
      const life = new AbortController();
      mount(el, host, life.signal);
      settle(el, life.signal);
      host.shownIn(el, life.signal);
      return () => life.abort();
    },
  };
}

export default widget satisfies AnyWidget<SyncedState>;
