/**
 * The overlay over a kernel: the module that anywidget loads.
 *
 * anywidget calls the default export once per model and page, so what the views of a model share (the request queue,
 * the last picture) lives in one session.
 */

import type { AnyWidget, InitializeProps, RenderProps } from "@anywidget/types";
import { doFavour } from "./hosts/browser-actions.js";
import { KernelHost } from "./hosts/kernel-host.js";
import type { SyncedState } from "./protocol.js";
import { mount } from "./view/overlay.js";
import { settle } from "./view/stage.js";

function widget() {
  let session: KernelHost | null = null;
  return {
    initialize({ model }: Pick<InitializeProps<SyncedState>, "model">) {
      session = new KernelHost(model);
      model.on("msg:custom", (content: unknown, buffers: DataView[]) => void doFavour(content, buffers));
      return () => session?.close();
    },
    render({ model, el }: Pick<RenderProps<SyncedState>, "model" | "el">) {
      session ??= new KernelHost(model);
      const life = new AbortController();
      mount(el, session, life.signal);
      settle(el, life.signal);
      session.shownIn(el, life.signal);
      return () => life.abort();
    },
  };
}

export default widget satisfies AnyWidget<SyncedState>;
