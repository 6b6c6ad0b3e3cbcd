// Repeat every case of vectors.json with the browser's engine and print the largest error.
// node check_vectors.mjs STATIC_FOLDER VECTORS ; an error is |a − b| / max(1, |b|).

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder, file] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(`${folder}/${name}.js`).href);
const geometry = await load("geometry");
const { makeSurface } = await load("surfaces");
const { innerLoop, outerLoop } = await load("engine");
const { specs, cases } = JSON.parse(readFileSync(file, "utf8"));

const number = (v) => (v === "inf" ? Infinity : v);
const surfaces = Object.fromEntries(Object.entries(specs).map(([k, s]) => [k, makeSurface(s)]));

function difference(mine, expected, path) {
  if (Array.isArray(expected)) {
    if (mine.length !== expected.length) throw new Error(`${path}: length ${mine.length}`);
    return Math.max(0, ...expected.map((v, i) => difference(mine[i], v, `${path}[${i}]`)));
  }
  if (expected !== null && typeof expected === "object") {
    return Math.max(...Object.keys(expected).map((k) => difference(mine[k], expected[k], `${path}.${k}`)));
  }
  if (typeof expected !== "number") {
    if (mine !== expected) throw new Error(`${path}: ${mine} instead of ${expected}`);
    return 0;
  }
  const error = Math.abs(mine - expected) / Math.max(1, Math.abs(expected));
  if (!(error <= 1e-6)) throw new Error(`${path}: ${mine} instead of ${expected}`);
  return error;
}

const runs = {
  normals({ seed, values }) {
    const draw = geometry.normals(seed);
    return [values.map(() => draw()), values];
  },
  geometry({ p, v, radius, norm, lmo, project }) {
    const q = number(p);
    const mine = [geometry.vectorNorm(...v, q), geometry.lmo(...v, radius, q)];
    return [[...mine, geometry.project(...v, radius, q)], [norm, lmo, project]];
  },
  surface({ surface, x, y, loss, gx, gy }) {
    const at = surfaces[surface];
    const gradients = x.map((v, i) => at.gradient(v, y[i]));
    const mine = [x.map((v, i) => at.loss(v, y[i])), gradients.map((g) => g[0])];
    return [[...mine, gradients.map((g) => g[1])], [loss, gx, gy]];
  },
  inner({ surface, start, settings, result }) {
    const norm = number(settings.norm);
    return [innerLoop(surfaces[surface], start, { ...settings, norm }), result];
  },
  outer({ surface, start, inner, outer, method, result }) {
    return [outerLoop(surfaces[surface], start, inner, outer, method), result];
  },
};

const report = {};
for (const [kind, list] of Object.entries(cases)) {
  const errors = list.map((one, i) => difference(...runs[kind](one), `${kind}[${i}]`));
  report[kind] = { cases: list.length, worst: Math.max(...errors) };
}
console.log(JSON.stringify(report));
