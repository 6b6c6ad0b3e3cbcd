// The widget's state: a local copy that answers at once, the model behind it told a little later.

const SAVE_EVERY = 120; // ms; a kernel at the other end must not drown in pointer moves

/** { get, set, subscribe, close } over the named traits of an anywidget model. */
export function makeStore(model, names) {
  const values = Object.fromEntries(names.map((name) => [name, model.get(name)]));
  const listeners = new Set();
  let saving = null;
  const pending = new Set();
  let frame = null;
  let changed = new Set();

  const notify = () => {
    frame = null;
    const what = changed;
    changed = new Set();
    for (const listener of listeners) listener(what);
  };
  const mark = (name, value) => {
    if (Object.is(values[name], value)) return false;
    values[name] = value;
    changed.add(name);
    if (frame === null) frame = requestAnimationFrame(notify);
    return true;
  };
  const handlers = names.map((name) => {
    const handler = () => {
      // While our own change is on its way the model still echoes the past.
      if (!pending.has(name)) mark(name, model.get(name));
    };
    model.on(`change:${name}`, handler);
    return [`change:${name}`, handler];
  });

  return {
    get: (name) => values[name],
    set(changes) {
      let any = false;
      for (const [name, value] of Object.entries(changes)) {
        if (mark(name, value)) {
          pending.add(name);
          model.set(name, value);
          any = true;
        }
      }
      if (any && saving === null) {
        saving = setTimeout(() => {
          saving = null;
          pending.clear();
          model.save_changes();
        }, SAVE_EVERY);
      }
    },
    subscribe: (listener) => listeners.add(listener),
    close() {
      if (saving !== null) {
        clearTimeout(saving);
        model.save_changes();
      }
      cancelAnimationFrame(frame);
      for (const [event, handler] of handlers) model.off(event, handler);
    },
  };
}
