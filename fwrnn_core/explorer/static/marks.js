// Drawing primitives in screen pixels: every mark has a halo, so that it reads on any ground.

/** World to screen for a domain [x0, x1, y0, y1] on a width × height box. */
export function makeView(domain, width, height) {
  const [x0, x1, y0, y1] = domain;
  return {
    width,
    height,
    scale: width / (x1 - x0),
    sx: (x) => ((x - x0) / (x1 - x0)) * width,
    sy: (y) => ((y1 - y) / (y1 - y0)) * height,
    wx: (px) => x0 + (px / width) * (x1 - x0),
    wy: (py) => y1 - (py / height) * (y1 - y0),
  };
}

function stroke(context, colour, width, dash = []) {
  context.setLineDash(dash);
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
  context.setLineDash([]);
}

/** A polyline over its halo; points nearer than a pixel to the one before are left out. */
export function line(context, points, colour, width, { dash, halo } = {}) {
  if (points.length < 2) return;
  context.lineJoin = "round";
  context.lineCap = "round";
  context.beginPath();
  let [px, py] = points[0];
  context.moveTo(px, py);
  for (let i = 1; i < points.length; i++) {
    const [x, y] = points[i];
    if (i < points.length - 1 && Math.abs(x - px) + Math.abs(y - py) < 1) continue;
    context.lineTo(x, y);
    px = x;
    py = y;
  }
  if (halo) stroke(context, halo, width + 3);
  stroke(context, colour, width, dash);
}

/** An arrow from a to b with a filled head. */
export function arrow(context, [ax, ay], [bx, by], colour, width, { dash, halo, head = 10 } = {}) {
  const length = Math.hypot(bx - ax, by - ay);
  if (length < 1) return;
  const size = Math.min(head, length * 0.6);
  const ux = (bx - ax) / length;
  const uy = (by - ay) / length;
  const neck = [bx - ux * size * 0.8, by - uy * size * 0.8];
  const corner = (side) => [bx - ux * size - side * uy * size * 0.45, by - uy * size + side * ux * size * 0.45];
  const tip = new Path2D();
  tip.moveTo(bx, by);
  tip.lineTo(...corner(1));
  tip.lineTo(...corner(-1));
  tip.closePath();
  if (halo) {
    context.strokeStyle = halo;
    context.lineWidth = 3;
    context.stroke(tip);
  }
  line(context, [[ax, ay], neck], colour, width, { dash, halo });
  context.fillStyle = colour;
  context.fill(tip);
}

export function dot(context, [x, y], radius, fill, edge) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = fill;
  context.fill();
  if (edge) stroke(context, edge, 1.5);
}

export function diamond(context, [x, y], radius, fill, edge) {
  context.beginPath();
  context.moveTo(x, y - radius);
  context.lineTo(x + radius, y);
  context.lineTo(x, y + radius);
  context.lineTo(x - radius, y);
  context.closePath();
  context.fillStyle = fill;
  context.fill();
  stroke(context, edge, 1.25);
}

export function square(context, [x, y], radius, fill, edge) {
  context.beginPath();
  context.rect(x - radius, y - radius, 2 * radius, 2 * radius);
  context.fillStyle = fill;
  context.fill();
  if (edge) stroke(context, edge, 1.5);
}

export function cross(context, [x, y], radius, colour, halo) {
  const arms = new Path2D();
  arms.moveTo(x - radius, y - radius);
  arms.lineTo(x + radius, y + radius);
  arms.moveTo(x - radius, y + radius);
  arms.lineTo(x + radius, y - radius);
  context.lineWidth = 5;
  context.strokeStyle = halo;
  context.stroke(arms);
  context.lineWidth = 2.2;
  context.strokeStyle = colour;
  context.stroke(arms);
}

export const SANS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif";
export const SERIF = "'Iowan Old Style', 'Palatino Linotype', Palatino, Georgia, serif";

/** Text over its halo; `style` as in canvas fonts ("italic 600"). */
export function label(context, text, [x, y], colour, options = {}) {
  const { halo, size = 13, style = "", align = "center", baseline = "middle", face = SANS } = options;
  context.font = `${style} ${size}px ${face}`;
  context.textAlign = align;
  context.textBaseline = baseline;
  if (halo) {
    context.lineJoin = "round";
    context.lineWidth = 4;
    context.strokeStyle = halo;
    context.strokeText(text, x, y);
  }
  context.fillStyle = colour;
  context.fillText(text, x, y);
}

export function textWidth(context, text, { size, style = "", face = SANS }) {
  context.font = `${style} ${size}px ${face}`;
  return context.measureText(text).width;
}

/** The p-ball's outline around a centre, from unit points, as a path. */
export function ballPath(view, [cx, cy], radius, outline) {
  const path = new Path2D();
  outline.forEach(([u, v], i) => {
    const point = [view.sx(cx + radius * u), view.sy(cy + radius * v)];
    if (i) path.lineTo(...point);
    else path.moveTo(...point);
  });
  path.closePath();
  return path;
}
