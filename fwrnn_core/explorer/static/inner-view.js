// The stage of one inner loop: the ball, the vertices, the iterates and what they add up to.

import { arrow, ballPath, cross, diamond, dot, label, line, SERIF, square } from "./marks.js";

const SUBSCRIPT = "₀₁₂₃₄₅₆₇₈₉";
const subscript = (n) => [...String(n)].map((c) => SUBSCRIPT[c]).join("");
const LABELLED = 12; // more vertices than this get a count instead of their indices

/** Vertices that coincide on the screen, as { at, members: [k, …] }. */
export function groupVertices(points) {
  const groups = [];
  points.forEach((at, i) => {
    const near = groups.find((g) => Math.hypot(g.at[0] - at[0], g.at[1] - at[1]) < 7);
    if (near) near.members.push(i + 1);
    else groups.push({ at, members: [i + 1] });
  });
  return groups;
}

function vertexName(members) {
  const [first, last] = [members[0], members[members.length - 1]];
  if (members.length === 1) return `s${subscript(first)}`;
  const run = last - first === members.length - 1;
  return run ? `s${subscript(first)}…${subscript(last)}` : `s${subscript(first)} ×${members.length}`;
}

/** Δ at the shown, possibly fractional, step: the loop moves straight from Δ_k to Δ_{k+1}. */
export function between(points, shown) {
  const k = Math.min(Math.floor(shown), points.length - 1);
  const next = points[Math.min(k + 1, points.length - 1)];
  const f = shown - k;
  return [points[k][0] + f * (next[0] - points[k][0]), points[k][1] + f * (next[1] - points[k][1])];
}

/**
 * Draw the inner loop.
 * scene: { start, loop, shown, settings, outline, layers, colours, spec }
 */
export function drawInner(context, view, scene) {
  const { start, loop, shown, settings, outline, layers, colours, spec } = scene;
  const at = ([dx, dy]) => [view.sx(start[0] + dx), view.sy(start[1] + dy)];
  const home = at([0, 0]);
  const steps = Math.min(Math.ceil(shown - 1e-9), settings.inner_steps);
  const released = settings.trajectory === "released";
  const halo = colours.halo;

  drawBall(context, view, scene, released && loop.reach > 1 + 1e-9);
  if (layers.network && spec.path) drawNetwork(context, view, spec, colours);
  const taken = occupied(view, scene, home);
  if (layers.gradient) drawGradient(context, view, scene, home, taken);
  if (layers.projected) {
    const path = loop.projected.slice(0, steps + 1).map(at);
    line(context, path, colours.projected, 1.8, { dash: [2, 4], halo });
    const small = path.length > 14 ? 2.2 : 3.2;
    path.slice(1).forEach((p, i) => square(context, p, i === steps - 1 ? 5 : small, colours.projected));
  }
  if (layers.vertices) drawVertices(context, view, scene, steps, at, home, taken);
  if (released && layers.released) drawReleased(context, scene, at);
  if (layers.iterates) {
    const path = loop.iterates.slice(0, Math.floor(shown) + 1).map(at);
    path.push(at(between(loop.iterates, shown)));
    line(context, path, colours.delta, released ? 1.2 : 2, { halo: released ? undefined : halo });
    const small = settings.inner_steps > 14 ? 2.4 : 3.6;
    path.slice(1).forEach((p) => dot(context, p, small, colours.delta, colours.bg));
  }
  drawNames(context, view, scene, home);
  const tip = at(between(loop.iterates, shown));
  arrow(context, home, tip, colours.delta, 3.4, { halo, head: 13 });
  if (steps > 0 && Math.hypot(tip[0] - home[0], tip[1] - home[1]) > 14) {
    const [gx, gy] = loop.gradient;
    const [ux, uy] = unit(tip[0] - home[0], tip[1] - home[1]);
    // Beside the shaft, on the side away from −∇F.
    const side = ux * gy - -uy * gx > 0 ? -1 : 1;
    const middle = [(home[0] + tip[0]) / 2, (home[1] + tip[1]) / 2];
    const place = [middle[0] - side * uy * 17, middle[1] + side * ux * 17];
    label(context, `Δ${subscript(steps)}`, place, colours.delta, { halo, size: 16, style: "italic 600", face: SERIF });
  }
}

function unit(x, y) {
  const length = Math.hypot(x, y) || 1;
  return [x / length, y / length];
}

/** Where δ's handle and its name stand: above ω, or below where the picture ends. */
function radiusSpots(view, { start, settings }, home) {
  const up = view.sy(start[1] + settings.radius) >= 8 ? 1 : -1;
  const edge = view.sy(start[1] + up * settings.radius);
  return { handle: [home[0], edge], name: [home[0] + 11, edge - up * 10] };
}

/** Boxes that no name may cover, as [x, y, half width, half height]: δ, its handle, the scale and the names of the axes. */
function occupied(view, scene, home) {
  const { handle, name } = radiusSpots(view, scene, home);
  const corners = [[view.width - 68, 18, 66, 14], [view.width - 40, view.height - 9, 40, 8], [45, 12, 45, 9]];
  return [[...handle, 9, 9], [name[0] + 5, name[1], 7, 9], ...corners];
}

/** The first of the spots where a name of that half width fits beside the others, which it joins. */
function place(spots, taken, view, half) {
  const spot = spots.find(([x, y]) =>
    x >= half && x <= view.width - half && y >= 9 && y <= view.height - 9 &&
    taken.every(([a, b, width, height]) => Math.abs(x - a) >= half + width || Math.abs(y - b) >= 8 + height));
  if (spot) taken.push([...spot, half, 8]);
  return spot;
}

/** ω at its handle (with an invitation until it has been moved once) and δ at the other. */
function drawNames(context, view, scene, home) {
  const { loop, settings, colours, touched } = scene;
  const style = { halo: colours.halo, size: 17, style: "italic", face: SERIF, align: "right" };
  label(context, "ω", [home[0] - 13, home[1] - 8], colours.ink, style);
  label(context, "δ", radiusSpots(view, scene, home).name, colours.ink, { ...style, align: "left", size: 16 });
  if (!touched) {
    const below = loop.iterates[settings.inner_steps][1] > 0 ? 24 : -24;
    label(context, "drag me", [Math.max(home[0], 28), home[1] + below], colours.ink, { halo: colours.halo, size: 12 });
  }
}

function drawBall(context, view, { start, settings, outline, colours }, escaped) {
  const path = ballPath(view, start, settings.radius, outline);
  context.fillStyle = colours.ball;
  context.fill(path);
  context.lineWidth = escaped ? 2.5 : 1.75;
  context.strokeStyle = escaped ? colours.escaped : colours.ink;
  context.setLineDash(escaped ? [7, 5] : []);
  context.stroke(path);
  context.setLineDash([]);
}

function drawGradient(context, view, { loop, settings, colours }, home, taken) {
  const [gx, gy] = loop.gradient;
  if (gx === 0 && gy === 0) return;
  const [ux, uy] = unit(-gx, gy); // screen y points down
  // From the ball's Euclidean reach on: past every vertex that lies the same way.
  const length = settings.radius * view.scale + 30;
  const tip = [home[0] + ux * length, home[1] + uy * length];
  const halo = colours.halo;
  arrow(context, home, tip, colours.gradient, 1.6, { dash: [6, 5], halo, head: 9 });
  const beside = (way, share) => [home[0] + ux * length * share - way * uy * 26, home[1] + uy * length * share + way * ux * 16];
  const along = [0.95, 0.8, 0.65, 0.5].flatMap((share) => [beside(1, share), beside(-1, share)]);
  const spot = place([[tip[0] + ux * 20, tip[1] + uy * 12], ...along], taken, view, 18);
  if (spot) label(context, "−∇F", spot, colours.gradient, { halo, size: 15, style: "italic", face: SERIF });
}

function drawVertices(context, view, { loop, settings, colours, shown, layers }, steps, at, home, taken) {
  const seen = loop.vertices.slice(0, steps).map(at);
  context.globalAlpha = Math.max(0.25, 0.75 - settings.inner_steps / 40);
  seen.forEach((vertex, i) => {
    line(context, [at(loop.iterates[i]), vertex], colours.vertex, 1.2);
  });
  context.globalAlpha = 1;
  const down = unit(-loop.gradient[0], loop.gradient[1]);
  const moving = shown < steps ? steps : 0; // the vertex that pulls right now
  for (const { at: vertex, members } of groupVertices(seen)) {
    const size = 6 + Math.min(4, members.length - 1) * 0.6 + (members.includes(moving) ? 2 : 0);
    diamond(context, vertex, size, colours.vertex, colours.vertexEdge);
    const [ux, uy] = unit(vertex[0] - home[0], vertex[1] - home[1]);
    const text = settings.inner_steps <= LABELLED ? vertexName(members) : `×${members.length}`;
    if (settings.inner_steps > LABELLED && members.length === 1) continue;
    const style = settings.inner_steps <= LABELLED ? "italic" : "";
    // A vertex on the way of the −∇F arrow gets its name beside the arrow instead of on it.
    const along = layers.gradient && ux * down[0] + uy * down[1] > 0.975;
    const tip = at(loop.iterates[steps]);
    const side = ux * (tip[1] - home[1]) - uy * (tip[0] - home[0]) > 0 ? -1 : 1;
    const beside = (way) => [vertex[0] + ux * 8 - way * uy * 21, vertex[1] + uy * 8 + way * ux * 19];
    const out = (far) => [vertex[0] + ux * far, vertex[1] + uy * far * 0.9];
    const spots = [...(along ? [] : [out(19)]), beside(side), beside(-side), ...(along ? [] : [out(-19)])];
    const spot = place(spots, taken, view, members.length > 1 ? 17 : 10);
    if (spot) label(context, text, spot, colours.ink, { halo: colours.halo, size: 14, style, face: SERIF });
  }
}

/** The released loop walks on by every Δ_k: a cross marks each gradient taken outside the ball. */
function drawReleased(context, { loop, shown, settings, colours, insideBall }, at) {
  const last = settings.inner_steps - 1; // after step K the weights go back, no gradient is taken
  const path = loop.visited.slice(0, last + 1);
  const reached = Math.min(shown, last);
  const seen = path.slice(0, Math.floor(reached) + 1).map(at);
  if (path.length > 1) seen.push(at(between(path, reached)));
  line(context, seen, colours.escaped, 2, { halo: colours.halo });
  path.slice(0, Math.floor(reached) + 1).forEach((place) => {
    if (insideBall(place)) dot(context, at(place), 3.4, colours.escaped, colours.bg);
    else cross(context, at(place), 4.5, colours.escaped, colours.halo);
  });
}

/** The network's own inner loop in all its dimensions, projected onto the plane. */
function drawNetwork(context, view, spec, colours) {
  const path = spec.path.map(([x, y]) => [view.sx(x), view.sy(y)]);
  line(context, path, colours.network, 1.6, { dash: [7, 3], halo: colours.halo });
  path.slice(1).forEach((p) => {
    context.beginPath();
    context.arc(p[0], p[1], 3.6, 0, 2 * Math.PI);
    context.fillStyle = colours.bg;
    context.fill();
    context.lineWidth = 1.6;
    context.strokeStyle = colours.network;
    context.stroke();
  });
}
