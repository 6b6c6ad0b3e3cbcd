// The stage of whole trajectories: four methods from one start, each with its own colour and dash.

import { between } from "./inner-view.js";
import { ballPath, diamond, dot, label, line, square } from "./marks.js";

/** Looks of the methods; the same in the stage, the chart and the table. */
export function methodStyles(colours) {
  return {
    "frank-wolfe": { name: "Two-loop Frank-Wolfe", short: "Frank-Wolfe", colour: colours.delta, width: 3, mark: dot },
    normalised: { name: "Normalised gradient", short: "normalised", colour: colours.normalised, width: 2, dash: [9, 4], mark: square },
    adam: { name: "Adam", short: "Adam", colour: colours.projected, width: 2, dash: [3, 3], mark: diamond },
    "gradient-descent": { name: "Gradient descent", short: "gradient descent", colour: colours.gradient, width: 1.8, dash: [1, 4], mark: dot },
  };
}

const LONG = 80; // a longer path is legible without halo, and its halo would cost the frame rate

/** How many points of a path fit in `budget` evaluations, as a fractional index. */
export function progress(path, budget) {
  const cost = path.evaluations[1] || 1;
  return Math.min(path.points.length - 1, budget / cost);
}

/** scene: { paths, shown (evaluations), settings, outline, layers, colours } */
export function drawOuter(context, view, { paths, shown, settings, outline, layers, colours, radii }) {
  const styles = methodStyles(colours);
  const at = ([x, y]) => [view.sx(x), view.sy(y)];
  const wolfe = paths["frank-wolfe"];
  if (layers["frank-wolfe"]) {
    context.lineWidth = 1;
    context.strokeStyle = colours.ink;
    const balls = Math.min(wolfe.points.length - 1, Math.ceil(progress(wolfe, shown)), 40);
    for (let t = 0; t < balls; t++) {
      const path = ballPath(view, wolfe.points[t], radii[t], outline);
      context.globalAlpha = t === 0 ? 0.9 : 0.22;
      context.stroke(path);
      context.globalAlpha = t === 0 ? 1 : 0.35;
      context.fillStyle = colours.ball;
      context.fill(path);
    }
    context.globalAlpha = 1;
  }
  // The main method last, so that it lies on top.
  for (const method of Object.keys(styles).reverse()) {
    if (!layers[method]) continue;
    const path = paths[method];
    const { colour, width, dash, mark } = styles[method];
    const reached = progress(path, shown);
    const seen = path.points.slice(0, Math.floor(reached) + 1).map(at);
    seen.push(at(between(path.points, reached)));
    const halo = seen.length < LONG ? colours.halo : undefined;
    line(context, seen, colour, width, { dash, halo });
    if (method === "frank-wolfe") seen.slice(1, -1).forEach((p) => dot(context, p, 3, colour, colours.bg));
    mark(context, seen[seen.length - 1], 5.5, colour, colours.bg);
  }
  drawNames(context, view, { paths, shown, layers, colours, styles, at });
}

/** Names beside the ends, pushed apart where they would overlap. */
function drawNames(context, view, { paths, shown, layers, colours, styles, at }) {
  const ends = Object.keys(styles)
    .filter((method) => layers[method])
    .map((method) => {
      const [x, y] = at(between(paths[method].points, progress(paths[method], shown)));
      return { method, x, y };
    })
    .filter(({ x, y }) => x > 0 && x < view.width && y > 0 && y < view.height)
    .sort((a, b) => a.y - b.y);
  ends.forEach((end, i) => {
    for (const before of ends.slice(0, i)) {
      if (Math.abs(end.x - before.x) < 130 && end.y - before.y < 16) end.y = before.y + 16;
    }
    const left = end.x > view.width * 0.72;
    const place = [end.x + (left ? -11 : 11), end.y];
    label(context, styles[end.method].short, place, styles[end.method].colour, {
      halo: colours.halo, size: 13, style: "600", align: left ? "right" : "left",
    });
  });
}
