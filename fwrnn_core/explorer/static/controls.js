// Form controls bound to the store: native inputs, so that keyboard and screen reader come for free.

import { element, setText, uniqueId } from "./dom.js";

/** A labelled slider. spec: { name, label, hint, range(), read(), write(v), text(v), speak(v) } */
export function slider(store, spec) {
  const id = uniqueId(spec.name);
  const output = element("output", { for: id, class: "fwx-value" });
  const input = element("input", { type: "range", id, "data-name": spec.name });
  const box = element(
    "div",
    { class: "fwx-field" },
    element("label", { for: id, class: "fwx-label" }, spec.label),
    output,
    input,
  );
  if (spec.hint) {
    input.setAttribute("aria-describedby", `${id}-hint`);
    box.append(element("span", { class: "fwx-hint", id: `${id}-hint` }, spec.hint));
  }
  input.addEventListener("input", () => store.set(spec.write(Number(input.value))));
  const refresh = () => {
    const { min, max, step } = spec.range();
    if (input.min !== String(min)) input.min = min;
    if (input.max !== String(max)) input.max = max;
    if (input.step !== String(step)) input.step = step;
    const value = spec.read();
    if (Number(input.value) !== value) input.value = value;
    const text = spec.text(value);
    setText(output, text);
    input.setAttribute("aria-valuetext", spec.speak ? spec.speak(value) : text);
    input.style.setProperty("--fwx-fill", `${(100 * (Number(input.value) - min)) / (max - min || 1)}%`);
  };
  return { node: box, refresh, input };
}

/** A row of radio buttons that looks like one segmented control. */
export function choice(store, spec) {
  const group = uniqueId(spec.name);
  const inputs = spec.options.map(([value, text, title]) => {
    const id = uniqueId(spec.name);
    const input = element("input", { type: "radio", name: group, id, value: String(value), "data-name": spec.name });
    input.addEventListener("change", () => store.set({ [spec.name]: value }));
    return { value, input, node: [input, element("label", { for: id, title: title ?? null }, text)] };
  });
  const legend = element("legend", { class: "fwx-label" }, spec.label);
  const row = element("div", { class: "fwx-segments" }, inputs.flatMap((one) => one.node));
  const box = element("fieldset", { class: `fwx-field fwx-choice${spec.wide ? " fwx-wide" : ""}` }, legend, row);
  if (spec.hint) {
    const id = uniqueId("hint");
    box.setAttribute("aria-describedby", id);
    box.append(element("span", { class: "fwx-hint", id }, spec.hint));
  }
  const refresh = () => {
    for (const { value, input } of inputs) input.checked = Object.is(value, store.get(spec.name));
  };
  return { node: box, refresh };
}

/** The surface picker: groups in the order they come. */
export function surfacePicker(store, choose) {
  const id = uniqueId("surface");
  const select = element("select", { id, "data-name": "surface" });
  let built = null;
  const build = (specs) => {
    built = specs;
    const groups = new Map();
    for (const spec of specs) {
      if (!groups.has(spec.group)) groups.set(spec.group, element("optgroup", { label: spec.group }));
      groups.get(spec.group).append(element("option", { value: spec.name }, spec.label));
    }
    select.replaceChildren(...groups.values());
  };
  select.addEventListener("change", () => choose(select.value));
  const refresh = () => {
    if (built !== store.get("surfaces")) build(store.get("surfaces"));
    if (select.value !== store.get("surface")) select.value = store.get("surface");
  };
  const node = element("div", { class: "fwx-pick" }, element("label", { for: id }, "Surface"), select);
  return { node, refresh };
}

/** Two tabs that choose the view; arrow keys move between them. */
export function tabs(store, panelId, options) {
  const buttons = options.map(([value, text]) =>
    element("button", {
      type: "button", role: "tab", id: uniqueId("tab"), "aria-controls": panelId, "data-view": value,
      "data-lm-suppress-shortcuts": "true",
      onclick: () => store.set({ view: value }),
      onkeydown: (event) => {
        if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
        const [other] = buttons.filter((b) => b !== event.currentTarget);
        event.preventDefault();
        store.set({ view: other.dataset.view });
        other.focus();
      },
    }, text),
  );
  const node = element("div", { class: "fwx-tabs", role: "tablist", "aria-label": "View" }, buttons);
  const refresh = () => {
    for (const button of buttons) {
      const on = button.dataset.view === store.get("view");
      button.setAttribute("aria-selected", String(on));
      button.tabIndex = on ? 0 : -1;
    }
  };
  return { node, refresh, labelledBy: () => buttons.find((b) => b.tabIndex === 0).id };
}

/** Legend entries that switch a layer on and off. */
export function legend(layers, changed) {
  const node = element("div", { class: "fwx-legend", role: "group", "aria-label": "Show in the picture" });
  const fill = (entries) => {
    const known = entries.map((e) => e.name).join();
    if (node.dataset.entries === known) return;
    node.dataset.entries = known;
    node.replaceChildren(
      ...entries.map(({ name, text, swatch }) => {
        const button = element("button", {
          type: "button", class: "fwx-key", "aria-pressed": String(layers[name]), "data-layer": name,
          onclick: () => {
            layers[name] = !layers[name];
            button.setAttribute("aria-pressed", String(layers[name]));
            changed();
          },
        });
        button.append(element("span", { class: `fwx-swatch fwx-swatch-${swatch}`, "aria-hidden": "true" }), text);
        return button;
      }),
    );
  };
  return { node, fill };
}
