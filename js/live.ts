/**
 * The overlay over a kernel: the module that anywidget loads.
 *
 * anywidget calls the default export once per model and page, so what the views of a model share (the request queue,
 * the last picture) lives in one session.
 */

import type { AnyModel, AnyWidget } from "@anywidget/types";
import { mount } from "./core.js";
import type { Model } from "./model.js";
import { Session } from "./session.js";
import { settle } from "./stage.js";

export default (): ReturnType<Extract<AnyWidget<Model>, () => unknown>> => {
  let session: Session | null = null;
  return {
    initialize({ model }: { model: AnyModel<Model> }) {
      session = new Session(model);
      return () => session?.close();
    },
    render({ model, el }: { model: AnyModel<Model>; el: HTMLElement }) {
      session ??= new Session(model);
      const life = new AbortController();
      mount(el, session, life.signal);
      settle(el, life.signal);
      session.shownIn(el, life.signal);
      return () => life.abort();
    },
  };
};
