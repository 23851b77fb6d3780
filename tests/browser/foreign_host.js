/**
 * A page's side of a notebook host that is not Jupyter: a widget manager that offers what the host's offers, and no more.
 *
 * anywidget's own front end and our overlay run on it as they are. Messages go through the page around this frame.
 */
const { host, binary, loading, kernel } = JSON.parse(document.querySelector("#host").textContent);

/** The part of ipywidgets' models that anywidget uses. */
class DOMWidgetModel {
  #state;
  #listeners = [];

  constructor(state, manager) {
    this.#state = state;
    this.widget_manager = manager;
    this.initialize();
  }
  initialize() {}
  get(name) {
    return this.#state[name];
  }
  set(name, value) {
    this.#state[name] = value;
  }
  save_changes() {}
  on(events, call, context) {
    for (const event of events.split(" ")) this.#listeners.push({ event, call, context });
  }
  once() {}
  off(event, call, context) {
    const is = (value, wanted) => wanted === null || wanted === undefined || value === wanted;
    this.#listeners = this.#listeners.filter(
      (one) => !(is(one.event, event) && is(one.call, call) && is(one.context, context)),
    );
  }
  trigger(event, ...given) {
    for (const one of [...this.#listeners]) if (one.event === event) one.call.apply(one.context ?? this, given);
  }
  send(content, callbacks, buffers = []) {
    parent.postMessage({ kind: "send", content, buffers }, "*");
    // Colab calls this when the message is on its way, whatever the kernel does.
    if (host === "colab") callbacks?.iopub?.status({ content: { execution_state: "idle" } });
  }
  async _handle_comm_msg({ method, state, content }, buffers) {
    if (method === "custom") this.trigger("msg:custom", content, buffers);
    if (method !== "update") return;
    Object.assign(this.#state, state);
    for (const name of Object.keys(state)) this.trigger(`change:${name}`, this, state[name]);
    this.trigger("change", this);
  }
}

class DOMWidgetView {
  constructor(model) {
    this.model = model;
    this.el = document.createElement("div");
    this.$el = { empty: () => this.el.replaceChildren() };
  }
}

/** A buffer as the host hands it on. */
const given = (buffer) => ({ DataView: new DataView(buffer), Uint8Array: new Uint8Array(buffer), ArrayBuffer: buffer })[binary];

/** Puts buffers where a message says they belong; null: they have not come yet. */
function filled(state, paths, buffers) {
  paths.forEach((path, k) => {
    let place = state;
    for (const step of path.slice(0, -1)) place = place[step];
    place[path.at(-1)] = buffers ? given(buffers[k]) : null;
  });
  return state;
}

/** What the host answers when somebody asks for the canvas: ipywidgets' stand-in for what could not load, or nothing. */
const canvas = {
  error: async () => ({ get: (name) => ({ _view_name: "ErrorWidgetView" })[name] }),
  never: () => new Promise(() => {}),
  refused: async () => Promise.reject(new Error("no such model")),
}[loading];

async function frontEnd() {
  let factory = null;
  const define = (_, made) => (factory = made);
  const address = "/anywidget.js";
  if (host === "colab") {
    new Function("define", await (await fetch(address)).text())(define);
  } else {
    window.define = define;
    await new Promise((loaded) => {
      document.head.append(Object.assign(document.createElement("script"), { src: address, onload: loaded }));
    });
  }
  return factory({ DOMWidgetModel, DOMWidgetView });
}

/** The box that ipywidgets makes of an RFWidget, with its mark of an error where the canvas would be. */
function stage(view) {
  const failed = document.createElement("div");
  failed.className = "jupyter-widgets";
  failed.textContent = "Failed to load model class 'MultiCanvasModel' from module 'ipycanvas'";
  const box = document.createElement("div");
  box.className = "jupyter-widgets widget-container widget-box rfwidget-stage";
  box.append(...(loading === "error" ? [failed] : []), view.el);
  const outer = document.createElement("div");
  outer.className = "jupyter-widgets widget-container widget-box widget-vbox rfwidget";
  outer.append(box);
  return outer;
}

let model = null;
const waiting = [];

async function open({ state, paths, buffers }) {
  const { AnyModel, AnyView } = await frontEnd();
  const late = host === "colab" && paths.length > 0;
  const manager = { get_model: canvas, ...(kernel && { kernel: { status: "idle" } }) };
  if (host === "strict") delete manager.get_model;
  model = new AnyModel(filled(structuredClone(state), paths, late ? null : buffers), manager);
  const view = new AnyView(model);
  await view.render();
  document.body.append(stage(view));
  const names = new Set(paths.map(([name]) => name));
  const rest = Object.fromEntries(Object.entries(filled(state, paths, buffers)).filter(([name]) => names.has(name)));
  if (late) setTimeout(() => model._handle_comm_msg({ method: "update", state: rest }, []), 500);
  for (const message of waiting.splice(0)) receive(message);
}

function receive({ data, buffers }) {
  const { method, state = {}, buffer_paths = [] } = data;
  const own = method === "update" ? { ...data, state: filled(state, buffer_paths, buffers) } : data;
  void model._handle_comm_msg(own, buffers.map(given));
}

addEventListener("message", ({ data }) => {
  if (data.kind === "open") void open(data);
  else if (model) receive(data);
  else waiting.push(data);
});
parent.postMessage({ kind: "hello" }, "*");
