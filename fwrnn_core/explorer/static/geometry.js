// Balls in the plane and reproducible noise: geometry.py, line for line, in the browser.

/** mulberry32 feeding Box-Muller's cosine branch; the same stream as geometry.Normals. */
export function normals(seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let a = Math.imul(state ^ (state >>> 15), state | 1);
    a ^= a + Math.imul(a ^ (a >>> 7), a | 61);
    return ((a ^ (a >>> 14)) >>> 0) / 4294967296;
  };
  return () => {
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    return radius * Math.cos(2 * Math.PI * uniform());
  };
}

export function vectorNorm(x, y, p) {
  const a = Math.abs(x);
  const b = Math.abs(y);
  const top = Math.max(a, b);
  if (top === 0 || p === Infinity) return top;
  return top * ((a / top) ** p + (b / top) ** p) ** (1 / p);
}

export function dual(p) {
  if (p === 1) return Infinity;
  return p === Infinity ? 1 : p / (p - 1);
}

const withSign = (size, sign) => (sign > 0 ? size : sign < 0 ? -size : 0);

/** argmin of <s, g> over the p-ball: Eq. 7. */
export function lmo(g, h, radius, p) {
  const top = Math.max(Math.abs(g), Math.abs(h));
  if (top === 0) return [0, 0];
  if (p === 1) {
    const first = Math.abs(g) >= Math.abs(h);
    return first ? [withSign(-radius, g), 0] : [0, withSign(-radius, h)];
  }
  if (p === Infinity) return [withSign(-radius, g), withSign(-radius, h)];
  const q = dual(p);
  const u = Math.abs(g) / top;
  const v = Math.abs(h) / top;
  const scale = radius / vectorNorm(u, v, q) ** (q - 1);
  return [withSign(-scale * u ** (q - 1), g), withSign(-scale * v ** (q - 1), h)];
}

/** The point of the p-ball nearest in the Euclidean sense. */
export function project(x, y, radius, p) {
  const size = vectorNorm(x, y, p);
  if (size <= radius) return [x, y];
  if (p === 2) return [(x * radius) / size, (y * radius) / size];
  const a = Math.abs(x);
  const b = Math.abs(y);
  let u;
  let v;
  if (p === Infinity) {
    u = Math.min(a, radius);
    v = Math.min(b, radius);
  } else if (p === 1) {
    let level = (a + b - radius) / 2;
    if (level > Math.min(a, b)) level = Math.max(a, b) - radius;
    u = Math.max(a - level, 0);
    v = Math.max(b - level, 0);
  } else {
    [u, v] = projectSmooth(a, b, radius, p);
  }
  return [withSign(u, x), withSign(v, y)];
}

function projectSmooth(a, b, radius, p) {
  const other = (u) => Math.max(radius ** p - u ** p, 0) ** (1 / p);
  let low = 0;
  let high = radius;
  for (let i = 0; i < 60; i++) {
    const u = 0.5 * (low + high);
    const v = other(u);
    if ((a - u) * v ** (p - 1) > (b - v) * u ** (p - 1)) low = u;
    else high = u;
  }
  const u = 0.5 * (low + high);
  return [u, other(u)];
}

/** Angle in degrees, null where a vector is 0. */
export function angleBetween(ux, uy, vx, vy) {
  if ((ux === 0 && uy === 0) || (vx === 0 && vy === 0)) return null;
  return (Math.atan2(Math.abs(ux * vy - uy * vx), ux * vx + uy * vy) * 180) / Math.PI;
}

/** Points on the boundary of the unit p-ball, counter-clockwise, closed by the caller. */
export function ballOutline(p, count = 160) {
  if (p === 1) return [[1, 0], [0, 1], [-1, 0], [0, -1]];
  if (p === Infinity) return [[1, 1], [-1, 1], [-1, -1], [1, -1]];
  const points = [];
  for (let i = 0; i < count; i++) {
    const angle = (2 * Math.PI * i) / count;
    const c = Math.cos(angle);
    const s = Math.sin(angle);
    const size = vectorNorm(c, s, p);
    points.push([c / size, s / size]);
  }
  return points;
}
