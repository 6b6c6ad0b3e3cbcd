// The two loops in a plane: engine.py in the browser. Pure functions, no DOM.

import { angleBetween, dual, lmo, normals, project, vectorNorm } from "./geometry.js";

const STEP_SIZES = { "1/k": (k) => 1 / k, "2/(k+1)": (k) => 2 / (k + 1) };
export const METHODS = ["frank-wolfe", "gradient-descent", "normalised", "adam"];
const ESCAPE = 20;

function oracle(surface, settings) {
  const scale = settings.noise * surface.spec.gradient_scale;
  const draw = normals(settings.seed);
  return (x, y) => {
    const g = surface.gradient(x, y);
    if (scale) {
      g[0] += scale * draw();
      g[1] += scale * draw();
    }
    return g;
  };
}

function walk(gradient, start, settings, radius) {
  const rule = STEP_SIZES[settings.step_size];
  const released = settings.trajectory === "released";
  let delta = [0, 0];
  let place = [0, 0];
  const out = { gradients: [], vertices: [], iterates: [delta], visited: [] };
  for (let k = 1; k <= settings.inner_steps; k++) {
    out.visited.push(place);
    const g = gradient(start[0] + place[0], start[1] + place[1]);
    const s = lmo(g[0], g[1], radius, settings.norm);
    const gamma = rule(k);
    delta = [(1 - gamma) * delta[0] + gamma * s[0], (1 - gamma) * delta[1] + gamma * s[1]];
    place = released ? [place[0] + delta[0], place[1] + delta[1]] : delta;
    out.gradients.push(g);
    out.vertices.push(s);
    out.iterates.push(delta);
  }
  out.visited.push(delta);
  return out;
}

function projectedPath(gradient, start, settings) {
  let place = [0, 0];
  let step = 0;
  const path = [place];
  for (let k = 1; k <= settings.inner_steps; k++) {
    const g = gradient(start[0] + place[0], start[1] + place[1]);
    if (k === 1) {
      const length = vectorNorm(g[0], g[1], 2);
      step = length ? settings.radius / length : 0;
    }
    const moved = [place[0] - step * g[0], place[1] - step * g[1]];
    place = project(moved[0], moved[1], settings.radius, settings.norm);
    path.push(place);
  }
  return path;
}

/** K inner steps at `start`, with everything the explorer shows. */
export function innerLoop(surface, start, settings) {
  const { radius, norm: p } = settings;
  const [x, y] = start;
  const out = walk(oracle(surface, settings), start, settings, radius);
  const projected = projectedPath(oracle(surface, settings), start, settings);
  const lossAt = ([dx, dy]) => surface.loss(x + dx, y + dy);
  const q = dual(p);
  const gaps = out.iterates.map(([dx, dy]) => {
    const [gx, gy] = surface.gradient(x + dx, y + dy);
    return dx * gx + dy * gy + radius * vectorNorm(gx, gy, q);
  });
  const here = surface.gradient(x, y);
  const last = out.iterates[settings.inner_steps];
  return {
    ...out,
    losses: out.visited.map(lossAt),
    gaps,
    projected,
    projected_losses: projected.map(lossAt),
    gradient: here,
    agreement: vectorNorm(last[0], last[1], p) / radius,
    angle: angleBetween(last[0], last[1], -here[0], -here[1]),
    reach: Math.max(...out.visited.map(([a, b]) => vectorNorm(a, b, p))) / radius,
  };
}

function adam() {
  let first = [0, 0];
  let second = [0, 0];
  let step = 0;
  return (g, lr) => {
    step += 1;
    first = first.map((m, i) => 0.9 * m + 0.1 * g[i]);
    second = second.map((v, i) => 0.999 * v + 0.001 * g[i] ** 2);
    const c1 = 1 - 0.9 ** step;
    const c2 = 1 - 0.999 ** step;
    return first.map((m, i) => (-lr * (m / c1)) / (Math.sqrt(second[i] / c2) + 1e-8));
  };
}

/** The trajectory of one method within `outer.budget` gradient evaluations. */
export function outerLoop(surface, start, inner, outer, method) {
  const gradient = oracle(surface, inner);
  const [x0, x1, y0, y1] = surface.spec.domain;
  const limit = ESCAPE * (x1 - x0);
  const cost = method === "frank-wolfe" ? inner.inner_steps : 1;
  const move = adam();
  const points = [start];
  const evaluations = [0];
  let diverged = false;
  for (let t = 1; t <= Math.floor(outer.budget / cost); t++) {
    const radius = outer.schedule === "constant" ? inner.radius : inner.radius / Math.sqrt(t);
    const here = points[points.length - 1];
    let delta;
    if (method === "frank-wolfe") {
      delta = walk(gradient, here, inner, radius).iterates[inner.inner_steps];
      if (outer.outer === "adam") delta = move(delta.map((d) => -d / radius), radius);
    } else {
      const g = gradient(here[0], here[1]);
      if (method === "gradient-descent") delta = g.map((v) => -outer.learning_rate * v);
      else delta = method === "normalised" ? lmo(g[0], g[1], radius, 2) : move(g, radius);
    }
    const after = [here[0] + delta[0], here[1] + delta[1]];
    const away = Math.max(Math.abs(after[0] - (x0 + x1) / 2), Math.abs(after[1] - (y0 + y1) / 2));
    if (!(away <= limit)) {
      diverged = true;
      break;
    }
    points.push(after);
    evaluations.push(t * cost);
  }
  return { points, losses: points.map(([a, b]) => surface.loss(a, b)), evaluations, diverged };
}
