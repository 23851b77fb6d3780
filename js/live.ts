/**
 * The overlay over a kernel: the module that anywidget loads.
 *
 * anywidget calls the default export once per model and page, so what the views of a model share (the request queue,
 * the last picture) lives in one session.
 */

import type { AnyWidget, InitializeProps, RenderProps } from "@anywidget/types";
import { mount } from "./core.js";
import { doFavour } from "./favours.js";
import type { Model } from "./model.js";
import { Session } from "./session.js";
import { settle } from "./stage.js";

function widget() {
  let session: Session | null = null;
  return {
    initialize({ model }: Pick<InitializeProps<Model>, "model">) {
      session = new Session(model);
      model.on("msg:custom", (content: unknown, buffers: DataView[]) => void doFavour(content, buffers));
      return () => session?.close();
    },
    render({ model, el }: Pick<RenderProps<Model>, "model" | "el">) {
      session ??= new Session(model);
      const life = new AbortController();
      mount(el, session, life.signal);
      settle(el, life.signal);
      session.shownIn(el, life.signal);
      return () => life.abort();
    },
  };
}

export default widget satisfies AnyWidget<Model>;
