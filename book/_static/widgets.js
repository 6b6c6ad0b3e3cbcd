// Runs the book's anywidget figures without a kernel: reads the widget state that the executed
// notebook saved in the page and hands each widget's own ES module a model to render from.
// Other widgets (sliders and such of ipywidgets) need a kernel; their cells show a picture.

class Model {
  constructor(state) {
    this.state = state;
    this.listeners = new Map();
  }
  get(name) {
    return this.state[name];
  }
  set(name, value) {
    if (Object.is(this.state[name], value)) return;
    this.state[name] = value;
    this.emit(`change:${name}`, value);
    this.emit("change", value);
  }
  on(event, callback) {
    this.listeners.set(event, [...(this.listeners.get(event) ?? []), callback]);
  }
  off(event, callback) {
    if (event == null) return this.listeners.clear();
    const rest = (this.listeners.get(event) ?? []).filter((one) => callback && one !== callback);
    this.listeners.set(event, rest);
  }
  emit(event, value) {
    for (const callback of this.listeners.get(event) ?? []) callback({ name: event, new: value });
  }
  save_changes() {} // there is no kernel to save to
  send() {}
}

// Binary traits are kept beside the state, in base64.
function withBuffers({ state, buffers = [] }) {
  for (const { path, data } of buffers) {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const owner = path.slice(0, -1).reduce((value, key) => value[key], state);
    owner[path.at(-1)] = new DataView(bytes.buffer);
  }
  return state;
}

const modules = new Map();

// A module of this page's own cannot be a file: import() of one fails on file://.
function load(source) {
  if (!modules.has(source)) {
    const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    modules.set(source, import(address).then((module) => module.default ?? module));
  }
  return modules.get(source);
}

async function mount(script, model) {
  const el = document.createElement("div");
  el.className = "book-widget";
  script.after(el);
  const css = model.get("_css");
  if (css && !document.querySelector(`style[data-widget="${model.get("_anywidget_id")}"]`)) {
    const style = document.createElement("style");
    style.dataset.widget = model.get("_anywidget_id");
    style.textContent = css;
    document.head.append(style);
  }
  try {
    let widget = await load(model.get("_esm"));
    if (typeof widget === "function") widget = await widget();
    if (!model.ready) model.ready = Promise.resolve(widget.initialize?.({ model }));
    await model.ready;
    await widget.render({ model, el });
    el.dataset.state = "ready";
  } catch (error) {
    el.textContent = "This figure could not be drawn in your browser.";
    el.dataset.state = "failed";
    throw error;
  }
}

function start() {
  const states = {}; // several scripts hold them when several notebooks share the page
  const saved = 'script[type="application/vnd.jupyter.widget-state+json"]';
  for (const script of document.querySelectorAll(saved)) {
    Object.assign(states, JSON.parse(script.textContent).state);
  }
  const models = new Map();
  const views = 'script[type="application/vnd.jupyter.widget-view+json"]';
  for (const script of document.querySelectorAll(views)) {
    const id = JSON.parse(script.textContent).model_id;
    if (states[id]?.model_module !== "anywidget") continue;
    if (!models.has(id)) models.set(id, new Model(withBuffers(states[id])));
    mount(script, models.get(id));
  }
}

if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
else start();
