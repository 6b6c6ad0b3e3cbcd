// The loss as a picture: soft bands, contour lines and a little relief, drawn once per surface.

const COLUMNS = 250;
const ROWS = 200;
const BANDS = 13;

function parse(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

/** Colour ramp through the given stops, t in [0, 1] -> [r, g, b]. */
function ramp(stops) {
  const colours = stops.map(parse);
  return (t) => {
    const place = Math.min(Math.max(t, 0), 1) * (colours.length - 1);
    const i = Math.min(Math.floor(place), colours.length - 2);
    return colours[i].map((c, n) => c + (colours[i + 1][n] - c) * (place - i));
  };
}

/**
 * Losses on a fine grid (row 0 at the top), lowest and highest shown value, and `level`: the square
 * root of the height above the lowest value, 0 … 1, which spaces the contours of a bowl evenly.
 */
export function sampleSurface(surface) {
  const [x0, x1, y0, y1] = surface.spec.domain;
  const values = new Float64Array(COLUMNS * ROWS);
  for (let j = 0; j < ROWS; j++) {
    const y = y1 + ((y0 - y1) * j) / (ROWS - 1);
    for (let i = 0; i < COLUMNS; i++) {
      values[j * COLUMNS + i] = surface.loss(x0 + ((x1 - x0) * i) / (COLUMNS - 1), y);
    }
  }
  const sorted = Float64Array.from(values).sort();
  const low = sorted[0];
  const high = sorted[Math.floor(0.98 * (sorted.length - 1))];
  const level = values.map((v) => Math.sqrt(Math.max(0, (v - low) / (high - low || 1))));
  return { values, level, low, high };
}

/** Paint the sampled surface on a canvas context of the given device-pixel size. */
export function paintHeat(context, sampled, width, height, colours) {
  const image = context.createImageData(width, height);
  const pixel = image.data;
  const bands = Array.from({ length: BANDS + 1 }, (_, b) => ramp(colours.heat)(b / BANDS));
  const { level } = sampled;
  for (let py = 0; py < height; py++) {
    const v = (py / (height - 1)) * (ROWS - 1);
    const j = Math.min(Math.floor(v), ROWS - 2);
    const fv = v - j;
    for (let px = 0; px < width; px++) {
      const u = (px / (width - 1)) * (COLUMNS - 1);
      const i = Math.min(Math.floor(u), COLUMNS - 2);
      const fu = u - i;
      const at = j * COLUMNS + i;
      const top = level[at] + (level[at + 1] - level[at]) * fu;
      const bottom = level[at + COLUMNS] + (level[at + COLUMNS + 1] - level[at + COLUMNS]) * fu;
      const t = top + (bottom - top) * fv;
      // Light from the upper left: slopes that face it are a little brighter.
      const slope = level[at + 1] - level[at] + (level[at + COLUMNS] - level[at]);
      const relief = Math.max(-9, Math.min(9, slope * 170));
      const colour = bands[Math.min(BANDS, Math.floor(t * BANDS))];
      const o = 4 * (py * width + px);
      pixel[o] = colour[0] + relief;
      pixel[o + 1] = colour[1] + relief;
      pixel[o + 2] = colour[2] + relief;
      pixel[o + 3] = 255;
    }
  }
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.putImageData(image, 0, 0);
  drawContours(context, level, width, height, colours);
}

/** Marching squares: every band's edge as short segments, cell by cell. */
function drawContours(context, level, width, height, colours) {
  const sx = width / (COLUMNS - 1);
  const sy = height / (ROWS - 1);
  context.strokeStyle = colours.contour;
  context.lineWidth = Math.max(1, width / 900);
  context.beginPath();
  for (let b = 1; b <= BANDS; b++) {
    const cut = b / BANDS;
    for (let j = 0; j < ROWS - 1; j++) {
      for (let i = 0; i < COLUMNS - 1; i++) {
        const at = j * COLUMNS + i;
        const a = level[at] - cut;
        const c = level[at + 1] - cut;
        const d = level[at + COLUMNS] - cut;
        const e = level[at + COLUMNS + 1] - cut;
        if (a > 0 === c > 0 && a > 0 === d > 0 && a > 0 === e > 0) continue;
        const hits = [];
        if (a > 0 !== c > 0) hits.push([i + a / (a - c), j]);
        if (d > 0 !== e > 0) hits.push([i + d / (d - e), j + 1]);
        if (a > 0 !== d > 0) hits.push([i, j + a / (a - d)]);
        if (c > 0 !== e > 0) hits.push([i + 1, j + c / (c - e)]);
        for (let n = 0; n + 1 < hits.length; n += 2) {
          context.moveTo(hits[n][0] * sx, hits[n][1] * sy);
          context.lineTo(hits[n + 1][0] * sx, hits[n + 1][1] * sy);
        }
      }
    }
  }
  context.stroke();
}
