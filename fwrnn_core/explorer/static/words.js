// What the picture shows, in a sentence: on the page, and for who cannot see it.

import { degrees, percent, show } from "./format.js";

export function describeInner(loop, settings) {
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
  return `${text} ${path}`;
}

export function describeOuter(paths, styles) {
  const ends = Object.entries(styles).map(([method, style]) => {
    const { losses, evaluations, diverged } = paths[method];
    const last = losses.length - 1;
    return { style, loss: losses[last], steps: last, spent: evaluations[last], diverged };
  });
  const best = ends.filter((end) => !end.diverged).sort((a, b) => a.loss - b.loss)[0];
  const wolfe = ends[0];
  let text = `Two-loop Frank-Wolfe takes ${wolfe.steps} steps with ${wolfe.spent} gradients and reaches ${show(wolfe.loss)}.`;
  if (best) text += ` Lowest with this budget: ${best.style.name}, ${show(best.loss)}.`;
  const lost = ends.filter((end) => end.diverged).map((end) => end.style.name);
  if (lost.length) text += ` Diverged: ${lost.join(", ")}.`;
  return text;
}
