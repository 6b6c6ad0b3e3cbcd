// Loss surfaces from their specs: surfaces.py in the browser. `gradient` returns a fresh [gx, gy].

const sigmoid = (z) => {
  const e = Math.exp(-Math.abs(z));
  return z >= 0 ? 1 / (1 + e) : e / (1 + e);
};

function bowl({ a, b, c }) {
  return {
    loss: (x, y) => 0.5 * a * x * x + 0.5 * b * y * y + c * x * y,
    gradient: (x, y) => [a * x + c * y, b * y + c * x],
  };
}

function ravine({ pull, goal, wall, bend, wave }) {
  return {
    loss(x, y) {
      const u = y - bend * Math.sin(wave * x);
      return pull * (x - goal) ** 2 + wall * u * u;
    },
    gradient(x, y) {
      const u = y - bend * Math.sin(wave * x);
      const slope = bend * wave * Math.cos(wave * x);
      return [2 * pull * (x - goal) - 2 * wall * u * slope, 2 * wall * u];
    },
  };
}

function saddle({ a, b, c }) {
  return {
    loss: (x, y) => 0.5 * a * x * x - 0.5 * b * y * y + c * y ** 4,
    gradient: (x, y) => [a * x, -b * y + 4 * c * y ** 3],
  };
}

function cliff({ steps, x0, target }) {
  return {
    loss(w, b) {
      let h = x0;
      for (let t = 0; t < steps; t++) h = w * sigmoid(h) + b;
      return (sigmoid(h) - target) ** 2;
    },
    gradient(w, b) {
      let h = x0;
      let dw = 0;
      let db = 0;
      for (let t = 0; t < steps; t++) {
        const s = sigmoid(h);
        const slope = w * s * (1 - s);
        h = w * s + b;
        dw = s + slope * dw;
        db = 1 + slope * db;
      }
      const s = sigmoid(h);
      const outer = 2 * (s - target) * s * (1 - s);
      return [outer * dw, outer * db];
    },
  };
}

function star({ a }) {
  const square = (x, y) => (x * x + y * y) * (1 + a * Math.cos(5 * Math.atan2(y, x)));
  return {
    loss: (x, y) => Math.sqrt(1 + square(x, y)) - 1,
    gradient(x, y) {
      const theta = Math.atan2(y, x);
      const radial = 2 * (1 + a * Math.cos(5 * theta));
      const around = 5 * a * Math.sin(5 * theta);
      const half = 0.5 / Math.sqrt(1 + square(x, y));
      return [half * (radial * x + around * y), half * (radial * y - around * x)];
    },
  };
}

/** base64 of little-endian float32 -> Float64Array (encoding.py). */
export function decodeFloats(text) {
  const raw = atob(text);
  const bytes = Uint8Array.from(raw, (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float64Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

/** Differences along one axis of a row-major array: central inside, one-sided at the ends. */
function difference(values, count, stride, lines, lineStride) {
  const out = new Float64Array(values.length);
  for (let line = 0; line < lines; line++) {
    for (let i = 0; i < count; i++) {
      const at = line * lineStride + i * stride;
      const before = i > 0 ? at - stride : at;
      const after = i < count - 1 ? at + stride : at;
      out[at] = (values[after] - values[before]) / (i > 0 && i < count - 1 ? 2 : 1);
    }
  }
  return out;
}

const hermite = (t) => {
  const t2 = t * t;
  const t3 = t2 * t;
  return [2 * t3 - 3 * t2 + 1, 3 * t2 - 2 * t3, t3 - 2 * t2 + t, t3 - t2];
};
const hermiteSlope = (t) => {
  const t2 = t * t;
  return [6 * t2 - 6 * t, 6 * t - 6 * t2, 3 * t2 - 4 * t + 1, 3 * t2 - 2 * t];
};

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** Bicubic Hermite patches through measured losses and gradients; tangent planes outside. */
function grid(spec) {
  const [x0, x1, y0, y1] = spec.domain;
  const { nx, ny } = spec.grid;
  const hx = (x1 - x0) / (nx - 1);
  const hy = (y1 - y0) / (ny - 1);
  const f = decodeFloats(spec.grid.loss);
  const fx = decodeFloats(spec.grid.grad_x).map((v) => v * hx);
  const fy = decodeFloats(spec.grid.grad_y).map((v) => v * hy);
  const fxDown = difference(fx, ny, nx, nx, 1);
  const fyAcross = difference(fy, nx, 1, ny, nx);
  const fxy = fxDown.map((v, i) => 0.5 * (v + fyAcross[i]));

  const patch = (i, j, bx, by) => {
    let total = 0;
    for (let dj = 0; dj < 2; dj++) {
      for (let di = 0; di < 2; di++) {
        const at = (j + dj) * nx + i + di;
        total += by[dj] * (bx[di] * f[at] + bx[2 + di] * fx[at]);
        total += by[2 + dj] * (bx[di] * fy[at] + bx[2 + di] * fxy[at]);
      }
    }
    return total;
  };
  const locate = (x, y) => {
    const u = (clamp(x, x0, x1) - x0) / hx;
    const v = (clamp(y, y0, y1) - y0) / hy;
    const i = clamp(Math.floor(u), 0, nx - 2);
    const j = clamp(Math.floor(v), 0, ny - 2);
    return [i, j, u - i, v - j];
  };
  const gradient = (x, y) => {
    const [i, j, t, s] = locate(x, y);
    return [
      patch(i, j, hermiteSlope(t), hermite(s)) / hx,
      patch(i, j, hermite(t), hermiteSlope(s)) / hy,
    ];
  };
  return {
    gradient,
    loss(x, y) {
      const [i, j, t, s] = locate(x, y);
      const inside = patch(i, j, hermite(t), hermite(s));
      const ox = x - clamp(x, x0, x1);
      const oy = y - clamp(y, y0, y1);
      if (ox === 0 && oy === 0) return inside;
      const [gx, gy] = gradient(x, y);
      return inside + gx * ox + gy * oy;
    },
  };
}

const KINDS = {
  bowl: (spec) => bowl(spec.params),
  ravine: (spec) => ravine(spec.params),
  saddle: (spec) => saddle(spec.params),
  cliff: (spec) => cliff(spec.params),
  star: (spec) => star(spec.params),
  grid,
};

export function makeSurface(spec) {
  return { spec, ...KINDS[spec.kind](spec) };
}
