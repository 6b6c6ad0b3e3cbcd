// The controls of both views: one line a setting.

import { choice, slider } from "./controls.js";
import { element, uniqueId } from "./dom.js";
import { brief } from "./format.js";

const SEEDS = 2 ** 32;

const NORMS = [1, 1.5, 2, 3, "inf"].map((p) => {
  const name = p === "inf" ? "∞" : String(p);
  return [p, name, `the ℓ${name} ball`];
});
const STEP_SIZES = [
  ["1/k", "1/k", "the plain average of the vertices"],
  ["2/(k+1)", "2/(k+1)", "late vertices weigh more"],
];
const TRAJECTORIES = [
  ["paper", "paper", "as Algorithm 1 says"],
  ["released", "released", "as the authors’ code walks"],
];
const SCHEDULES = [["constant", "constant"], ["1/sqrt(t)", "∝ 1/√t"]];
const OUTERS = [
  ["plain", "ω + Δ"],
  ["adam", "via Adam", "−Δ/δ handed to Adam, as the authors ran it"],
];

/** `spec()` is the spec of the surface in view, which sets the ranges of radius and rate. */
export function makeSettings(store, spec) {
  const number = (name, label, hint, range, text, speak) =>
    slider(store, {
      name, label, hint, text, speak, range,
      read: () => store.get(name),
      write: (value) => ({ [name]: value }),
    });
  const span = (key) => () => {
    const { min, max } = spec()[key];
    return { min, max, step: (max - min) / 200 };
  };
  const fixed = (min, max, step) => () => ({ min, max, step });
  const noise = (v) => (v ? `× ${brief(v, 2)}` : "none");
  const noiseSpoken = (v) => (v ? `${brief(v, 2)} times a typical gradient` : "none");
  return {
    controls: [
      number("radius", "Radius δ", "how far the loop may look", span("radius"), (v) => brief(v)),
      number("inner_steps", "Inner steps K", "gradients before each step", fixed(1, 30, 1), String),
      choice(store, { name: "norm", label: "Norm p of the ball", hint: "its shape", options: NORMS, wide: true }),
      choice(store, { name: "step_size", label: "Step size γ", hint: "weight of the newest vertex", options: STEP_SIZES }),
      choice(store, { name: "trajectory", label: "Trajectory", hint: "Algorithm 1, or the authors’ code", options: TRAJECTORIES }),
      number("noise", "Gradient noise", "new for every gradient", fixed(0, 2, 0.05), noise, noiseSpoken),
    ],
    outerControls: [
      number("budget", "Gradient budget", "for each method", fixed(10, 300, 10), String),
      number("learning_rate", "Learning rate of gradient descent", "the others take the radius δ", span("learning_rate"), (v) => brief(v)),
      choice(store, { name: "schedule", label: "Radius over time", hint: "constant, or shrinking with the step t", options: SCHEDULES }),
      choice(store, { name: "outer", label: "Outer step of Frank-Wolfe", hint: "plain, or handed to Adam", options: OUTERS }),
    ],
    seedRow: makeSeed(store),
  };
}

/** The noise's seed, there only while there is noise. */
function makeSeed(store) {
  const id = uniqueId("seed");
  const input = element("input", { type: "number", min: 0, max: SEEDS - 1, step: 1, id, "data-name": "seed" });
  input.addEventListener("change", () => {
    const seed = Math.min(Math.max(Math.round(Number(input.value)) || 0, 0), SEEDS - 1);
    input.value = seed;
    store.set({ seed });
  });
  const redraw = element("button", {
    type: "button", class: "fwx-quiet", "data-name": "redraw",
    onclick: () => store.set({ seed: (store.get("seed") + 1) % SEEDS }),
  }, "Draw again");
  const node = element("div", { class: "fwx-field fwx-seed fwx-wide" },
    element("label", { for: id, class: "fwx-label" }, "Seed"), input, redraw);
  const refresh = () => {
    if (document.activeElement !== input) input.value = store.get("seed");
    node.hidden = store.get("noise") === 0;
  };
  return { node, refresh };
}
