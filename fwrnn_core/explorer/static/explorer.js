// The explorer: puts stage, controls, player and charts together around one store.

import { legend, surfacePicker, tabs } from "./controls.js";
import { element, setText, uniqueId } from "./dom.js";
import { innerLoop, METHODS, outerLoop } from "./engine.js";
import { ballOutline, vectorNorm } from "./geometry.js";
import { drawInner } from "./inner-view.js";
import { drawOuter, methodStyles } from "./outer-view.js";
import { followTheme } from "./palette.js";
import { makePlayer } from "./player.js";
import { makeCharts, makeTable } from "./readouts.js";
import { makeSettings } from "./settings.js";
import { makeStage } from "./stage.js";
import { makeStore } from "./store.js";
import { makeSurface } from "./surfaces.js";
import { describeInner, describeOuter } from "./words.js";

const TRAITS = [
  "surfaces", "surface", "x", "y", "radius", "inner_steps", "norm", "step_size", "trajectory",
  "noise", "seed", "view", "budget", "learning_rate", "schedule", "outer",
];
const LAYERS = {
  inner: [
    { name: "vertices", text: "vertices s", swatch: "vertex" },
    { name: "iterates", text: "iterates Δ", swatch: "delta" },
    { name: "gradient", text: "−∇F", swatch: "gradient" },
    { name: "projected", text: "projected gradient", swatch: "projected" },
  ],
  released: { name: "released", text: "gradients outside the ball", swatch: "escaped" },
  network: { name: "network", text: "network’s loop", swatch: "network" },
  outer: [
    { name: "frank-wolfe", text: "Frank-Wolfe", swatch: "delta" },
    { name: "normalised", text: "normalised", swatch: "normalised" },
    { name: "adam", text: "Adam", swatch: "adam" },
    { name: "gradient-descent", text: "gradient descent", swatch: "descent" },
  ],
};

function startOf(spec) {
  return {
    surface: spec.name, x: spec.start[0], y: spec.start[1],
    radius: spec.radius.default, learning_rate: spec.learning_rate.default,
  };
}

function render({ model, el }) {
  const store = makeStore(model, TRAITS);
  const layers = { vertices: true, iterates: true, gradient: true, projected: true, released: true, network: true };
  for (const method of METHODS) layers[method] = true;
  let colours;
  let surface;
  let outline;
  let inner = null;
  let paths = null;
  let touched = false;

  const get = store.get;
  // Reset goes back to the page's own settings: a page that speaks of noise has to get it back.
  const opened = Object.fromEntries(TRAITS.slice(1).filter((t) => t !== "view").map((t) => [t, get(t)]));
  const isInner = () => get("view") === "inner";
  const norm = () => (get("norm") === "inf" ? Infinity : get("norm"));
  const settings = () => ({
    radius: get("radius"), inner_steps: get("inner_steps"), norm: norm(), step_size: get("step_size"),
    trajectory: get("trajectory"), noise: get("noise"), seed: get("seed"),
  });
  const specOf = (name) => get("surfaces").find((spec) => spec.name === name);

  let tallest = 0; // of the sentence below the picture, in pixels

  // --- parts -------------------------------------------------------------------------------
  const panelId = uniqueId("panel");
  const views = tabs(store, panelId, [["inner", "One inner loop"], ["outer", "Whole descent"]]);
  const picker = surfacePicker(store, (name) => {
    player.rewind();
    store.set(startOf(specOf(name)));
  });
  const stage = makeStage({
    moveTo(x, y) {
      touched = true;
      store.set({ x, y });
    },
    resize: (radius) => store.set({ radius }),
    released: () => speak(),
    redraw() {
      tallest = 0; // of another width
      draw();
      tell();
    },
  });
  const player = makePlayer({
    length: () => (isInner() ? get("inner_steps") : get("budget")),
    pace: () => (isInner() ? Math.min(900, Math.max(150, 6000 / get("inner_steps"))) : 4500 / get("budget")),
    caption: (at) => (isInner() ? `k = ${at} of ${get("inner_steps")}` : `${at} of ${get("budget")} gradients`),
    changed: () => draw(),
  });
  const keys = legend(layers, () => draw());
  const { controls, outerControls, seedRow } = makeSettings(store, () => surface.spec);
  const reset = element("button", { type: "button", class: "fwx-quiet", "data-name": "reset", title: "back to the settings that this page opened with, on this surface", onclick: () => {
    player.rewind();
    store.set({ ...opened, ...(get("surface") === opened.surface ? {} : startOf(surface.spec)) });
  } }, "Reset");
  const outerBox = element("div", { class: "fwx-outer-controls" }, outerControls.map((c) => c.node));
  const summary = element("p", { class: "fwx-summary" });
  const live = element("p", { class: "fwx-hidden", "aria-live": "polite" });
  const about = element("p", { class: "fwx-about" });
  const charts = makeCharts(() => draw());
  const table = makeTable();

  const panel = element("div", { class: "fwx-main", role: "tabpanel", id: panelId },
    element("div", { class: "fwx-left" }, stage.node, player.node, keys.node, summary),
    element("div", { class: "fwx-controls" }, controls.map((c) => c.node), seedRow.node, reset));
  const body = element("div", { class: "fwx-body" },
    element("div", { class: "fwx-top" }, views.node, picker.node),
    panel, charts.node, outerBox, table.node, about, live);
  const root = element("div", { class: "fwx", role: "group", "aria-label": "Explorer of the two-loop Frank-Wolfe optimizer" }, body);
  el.append(root);

  // --- computing and drawing ---------------------------------------------------------------
  const compute = () => {
    const start = [get("x"), get("y")];
    if (isInner()) inner = innerLoop(surface, start, settings());
    else {
      const outer = { budget: get("budget"), learning_rate: get("learning_rate"), schedule: get("schedule"), outer: get("outer") };
      paths = Object.fromEntries(METHODS.map((m) => [m, outerLoop(surface, start, settings(), outer, m)]));
    }
  };
  const draw = () => {
    stage.paint(colours);
    const start = [get("x"), get("y")];
    const shown = player.shown();
    const base = { start, shown, settings: settings(), outline, layers, colours, touched, spec: surface.spec };
    if (isInner()) {
      const insideBall = ([a, b]) => vectorNorm(a, b, norm()) <= get("radius") * (1 + 1e-9);
      stage.draw(start, get("radius"), (c, v) => drawInner(c, v, { ...base, loop: inner, insideBall }), colours);
      charts.inner(inner, base);
    } else {
      const radii = paths["frank-wolfe"].points.map((_, t) => (get("schedule") === "constant" ? get("radius") : get("radius") / Math.sqrt(t + 1)));
      stage.draw(start, get("radius"), (c, v) => drawOuter(c, v, { ...base, paths, radii }), colours);
      charts.outer(paths, base, get("budget"));
      table.fill(paths, methodStyles(colours));
    }
  };
  // The sentence follows ten times a second: nobody reads faster, and each change costs a layout. It
  // keeps the height of its longest, or the sliders below would move under the finger.
  let telling = null;
  const tell = () => {
    telling ??= setTimeout(() => {
      telling = null;
      setText(summary, isInner() ? describeInner(inner, settings(), surface.spec, [get("x"), get("y")]) : describeOuter(paths, methodStyles(colours), settings(), get("budget"), surface.spec));
      if (!tallest) summary.style.minHeight = "";
      tallest = Math.max(tallest, summary.offsetHeight);
      summary.style.minHeight = `${tallest}px`;
    }, summary.textContent ? 100 : 0);
  };
  let spoken = null;
  const speak = () => {
    clearTimeout(spoken);
    spoken = setTimeout(() => setText(live, summary.textContent), 600);
  };
  const refresh = (changed) => {
    if (changed.has("surface") || changed.has("surfaces")) {
      surface = makeSurface(specOf(get("surface")));
      stage.setSurface(surface);
      setText(about, surface.spec.about);
    }
    if (changed.has("norm")) outline = ballOutline(norm());
    if (changed.has("view") || changed.has("surface")) tallest = 0;
    if (changed.has("view")) {
      player.rewind();
      root.dataset.view = get("view");
      panel.setAttribute("aria-labelledby", views.labelledBy());
    }
    const extra = { released: get("trajectory") === "released", network: Boolean(surface.spec.path) };
    const more = isInner() ? Object.keys(extra).filter((name) => extra[name]).map((name) => LAYERS[name]) : [];
    keys.fill([...LAYERS[get("view")], ...more]);
    const onlyMoved = [...changed].every((name) => name === "x" || name === "y");
    if (!onlyMoved) {
      for (const part of [picker, player, seedRow, ...controls, ...outerControls]) part.refresh();
    }
    compute();
    tell();
    draw();
    speak();
  };

  const unfollow = followTheme(root, (next) => {
    colours = next;
    if (surface) draw();
  });
  views.refresh();
  refresh(new Set(TRAITS));
  store.subscribe((changed) => {
    views.refresh();
    refresh(changed);
  });
  return () => {
    player.stop();
    clearTimeout(telling);
    clearTimeout(spoken);
    stage.close();
    charts.close();
    unfollow();
    store.close();
  };
}

export default { render };
