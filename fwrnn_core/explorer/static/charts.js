// Small charts beside the stage: lines over k or over gradient evaluations, and the dial of A5.

import { show, tickText, ticks } from "./format.js";
import { arrow, diamond, label, line, SERIF, textWidth } from "./marks.js";
import { groupVertices } from "./inner-view.js";

const PAD = { left: 40, right: 10, top: 8, bottom: 26 };
const NAME = { size: 12, style: "600" };
const NAMED = 280; // wide enough to write the series' names at their ends, also on a phone

/**
 * series: [{ points: [[x, y]], colour, width, dash, mark, name }], x from 0 to `xMax`.
 * options: { xMax, xName, log, floor (of a log axis), cursor (x), colours,
 * top (what lies above leaves the chart: a method that diverges must not flatten the others) }
 */
export function lineChart(canvas, series, options) {
  const [context, width, height] = canvas.fit();
  if (width < 20) return;
  const { colours, xMax, xName, log } = options;
  const lift = (v) => (log ? Math.log10(Math.max(v, options.floor)) : v);
  const drawn = series.map((s) => ({ ...s, points: s.points.map(([x, y]) => [x, lift(y)]) }));
  const all = drawn.flatMap((s) => s.points.map((p) => p[1])).filter(Number.isFinite);
  let low = Math.min(...all);
  let high = Math.min(Math.max(...all), lift(options.top ?? Infinity));
  if (!(high - low > 1e-12 * Math.max(1, Math.abs(high)))) high = low + (Math.abs(low) || 1) * 0.1;
  const air = 0.06 * (high - low);
  low -= air;
  high += air;

  const named = width > NAMED && drawn.some((s) => s.name);
  const room = () => Math.max(...drawn.map((s) => textWidth(context, s.name, NAME)));
  const right = width - (named ? room() + 14 : PAD.right);
  const base = height - PAD.bottom;
  const sx = (x) => PAD.left + (x / (xMax || 1)) * (right - PAD.left);
  const sy = (y) => base - ((y - low) / (high - low)) * (base - PAD.top);
  const small = { size: 11, align: "right" };
  for (const tick of yTicks(low, high, log)) {
    line(context, [[PAD.left, sy(tick.at)], [right, sy(tick.at)]], colours.line, 1);
    label(context, tick.text, [PAD.left - 6, sy(tick.at)], colours.soft, small);
  }
  const steps = xMax <= 6 ? Array.from({ length: xMax + 1 }, (_, i) => i) : ticks(0, xMax, 4);
  for (const x of steps) {
    label(context, tickText(x, 1), [sx(x), base + 9], colours.soft, { size: 11 });
  }
  label(context, xName, [right, height - 5], colours.soft, { size: 11, align: "right", style: "italic" });
  if (options.cursor !== undefined) {
    line(context, [[sx(options.cursor), PAD.top], [sx(options.cursor), base]], colours.soft, 1, { dash: [2, 3] });
  }
  const ends = [];
  for (const s of drawn) {
    const path = s.points.filter((p) => Number.isFinite(p[1])).map(([x, y]) => [sx(x), sy(y)]);
    line(context, path, s.colour, s.width ?? 2, { dash: s.dash });
    if (s.mark && path.length <= 31) path.forEach((p) => s.mark(context, p, path.length > 16 ? 2 : 3, s.colour));
    if (named && path.length) {
      const [x, y] = path[path.length - 1];
      ends.push({ x, y: Math.max(y, PAD.top + 6), name: s.name, colour: s.colour });
    }
  }
  nameEnds(context, ends, base);
}

/** Names at the line ends, in order of height and at least a line apart. */
function nameEnds(context, ends, bottom) {
  ends.sort((a, b) => a.y - b.y);
  ends.forEach((end, i) => {
    if (i) end.y = Math.max(end.y, ends[i - 1].y + 15);
  });
  for (let i = ends.length - 1, limit = bottom; i >= 0; i--, limit -= 15) {
    ends[i].y = Math.min(ends[i].y, limit);
    label(context, ends[i].name, [ends[i].x + 8, ends[i].y], ends[i].colour, { ...NAME, align: "left" });
  }
}

function yTicks(low, high, log) {
  if (!log) {
    const values = ticks(low, high, 3);
    const step = values.length > 1 ? values[1] - values[0] : Math.abs(values[0]) || 1;
    return values.map((at) => ({ at, text: tickText(at, step) }));
  }
  let powers = ticks(Math.ceil(low), Math.floor(high), 3).filter(Number.isInteger);
  if (powers.length < 2) powers = [low + 0.1 * (high - low), high - 0.1 * (high - low)];
  const power = (at) => show(10 ** at, 1).replace(/^1·/, "");
  return powers.map((at) => ({ at, text: Number.isInteger(at) ? power(at) : show(10 ** at, 2) }));
}

/** The unit ball with its vertices, −∇F and Δ_K/δ: direction and agreement in one picture. */
export function dial(canvas, { loop, shown, delta, radius, outline, colours }) {
  const [context, width, height] = canvas.fit();
  if (width < 20) return;
  const size = Math.min(width / 2 - 14, height / 2 - 12);
  const [cx, cy] = [width / 2, height / 2];
  const at = ([x, y]) => [cx + x * size, cy - y * size];
  context.beginPath();
  outline.forEach((p, i) => (i ? context.lineTo(...at(p)) : context.moveTo(...at(p))));
  context.closePath();
  context.fillStyle = colours.panel;
  context.fill();
  context.lineWidth = 1.25;
  context.strokeStyle = colours.soft;
  context.stroke();

  const [gx, gy] = loop.gradient;
  const steep = Math.hypot(gx, gy);
  const reach = Math.hypot(...delta) / radius;
  if (steep > 0) {
    const down = Math.atan2(gy, -gx); // screen angle of −∇F
    if (reach > 0) {
      const there = Math.atan2(-delta[1], delta[0]);
      let turn = there - down;
      while (turn > Math.PI) turn -= 2 * Math.PI;
      while (turn < -Math.PI) turn += 2 * Math.PI;
      context.beginPath();
      context.moveTo(cx, cy);
      context.arc(cx, cy, size * 0.55, down, down + turn, turn < 0);
      context.closePath();
      context.globalAlpha = 0.22;
      context.fillStyle = colours.delta;
      context.fill();
      context.globalAlpha = 1;
    }
    const tip = [cx + Math.cos(down) * size, cy + Math.sin(down) * size];
    arrow(context, [cx, cy], tip, colours.gradient, 1.4, { dash: [5, 4], head: 7 });
  }
  const seen = loop.vertices.slice(0, Math.ceil(shown - 1e-9)).map(([x, y]) => at([x / radius, y / radius]));
  for (const group of groupVertices(seen)) {
    diamond(context, group.at, 3.5 + Math.min(3, group.members.length - 1) * 0.5, colours.vertex, colours.vertexEdge);
  }
  arrow(context, [cx, cy], at([delta[0] / radius, delta[1] / radius]), colours.delta, 3, { head: 10 });
  if (reach === 0 && steep === 0) {
    label(context, "∇F = 0", [cx, cy], colours.soft, { size: 13, face: SERIF, style: "italic" });
  }
}
