// What the picture shows, in a sentence: on the page, and for who cannot see it.

import { degrees, percent, show } from "./format.js";

/** Whether a slice through a network has no measured loss here: its surface goes on as a plane. */
function unmeasured(spec, [x, y]) {
  const [x0, x1, y0, y1] = spec.domain;
  return spec.kind === "grid" && !(x >= x0 && x <= x1 && y >= y0 && y <= y1);
}

export function describeInner(loop, settings, spec, start) {
  const K = settings.inner_steps;
  const share = percent(loop.agreement);
  const path = `The loss goes from ${show(loop.losses[0])} to ${show(loop.losses[K])}.`;
  if (loop.angle === null) return `The gradient is zero here, so the oracle returns 0. ${path}`;
  const turn = `${degrees(loop.angle)} away from the negative gradient`;
  let text;
  if (K === 1) text = `One gradient, one vertex: a normalised gradient step, ${turn}.`;
  else if (loop.agreement >= 0.9) text = `The ${K} vertices agree (${share}): a full step, ${turn}.`;
  else if (loop.agreement >= 0.5) text = `The ${K} vertices partly cancel: ${share} of the radius remains, ${turn}.`;
  else text = `The ${K} vertices contradict each other: only ${share} of the radius remains, ${turn}.`;
  if (settings.trajectory === "released" && loop.reach > 1 + 1e-9) {
    text += ` The released loop leaves the ball: it takes gradients up to ${show(loop.reach, 2)} radii away.`;
  }
  if (loop.visited.some(([dx, dy]) => unmeasured(spec, [start[0] + dx, start[1] + dy]))) {
    text += " Part of the way lies beyond the measured plane, where the losses are extrapolated.";
  }
  return `${text} ${path}`;
}

export function describeOuter(paths, styles, { inner_steps: inner, noise }, budget, spec) {
  const ends = Object.entries(styles).map(([method, style]) => {
    const { losses, evaluations, diverged } = paths[method];
    const last = losses.length - 1;
    return { style, loss: losses[last], steps: last, spent: evaluations[last], diverged };
  });
  const best = ends.filter((end) => !end.diverged).sort((a, b) => a.loss - b.loss)[0];
  const wolfe = ends[0];
  let text = budget < inner
    ? `A budget of ${budget} gradients does not pay for one inner loop of K = ${inner}: two-loop Frank-Wolfe takes no step.`
    : `Two-loop Frank-Wolfe takes ${wolfe.steps} steps with ${wolfe.spent} gradients and reaches ${show(wolfe.loss)}.`;
  if (best) text += ` Lowest ${noise ? "in this draw" : "with this budget"}: ${best.style.name}, ${show(best.loss)}.`;
  if (best && noise) text += " Draw again to see how much is luck.";
  const lost = ends.filter((end) => end.diverged).map((end) => end.style.name);
  if (lost.length) text += ` Diverged: ${lost.join(", ")}.`;
  const far = Object.keys(styles).filter((m) => paths[m].points.some((p) => unmeasured(spec, p)));
  if (far.length) text += ` Beyond the measured plane, where losses are extrapolated: ${far.map((m) => styles[m].name).join(", ")}.`;
  return text;
}
