// The picture: the loss below, the drawing above, and two handles (ω and the ball's edge) that
// answer to mouse, finger and arrow keys.

import { element, makeCanvas, setText } from "./dom.js";
import { brief, show, tickText, ticks } from "./format.js";
import { paintHeat, sampleSurface } from "./heat.js";
import { label, makeView } from "./marks.js";

const STEP = 1 / 100; // of the picture's width per arrow key; five times that with Shift
const ENDS = { Home: "min", End: "max" };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/**
 * hooks: { moveTo(x, y), resize(radius), released(), redraw() }; `released` ends a drag, `redraw`
 * answers a change of size.
 */
export function makeStage(hooks) {
  const heat = makeCanvas("fwx-heat", hooks.redraw, { "aria-hidden": "true" });
  const over = makeCanvas("fwx-over", hooks.redraw, { "aria-hidden": "true" });
  const omega = handle("fwx-omega", "Weights ω", "Arrow keys move the weights, with Shift five times as far");
  const edge = handle("fwx-edge", "Radius of the ball", "Arrow keys change the radius, Home and End set the smallest and the largest");
  const lowest = element("span");
  const highest = element("span");
  const scale = element("p", { class: "fwx-scale" }, "loss ", lowest, element("i", { "aria-hidden": "true" }), highest);
  const node = element("div", { class: "fwx-stage" }, heat.node, over.node, scale, edge, omega);
  let surface = null;
  let sampled = null;
  let painted = "";
  let radiusRange = null;
  let place = [0, 0];
  let radius = 1;
  let edgeSide = 1;
  let describing = null; // what a screen reader is told follows ten times a second

  const view = () => makeView(surface.spec.domain, ...over.size());
  const inside = ([x, y]) => {
    const [x0, x1, y0, y1] = surface.spec.domain;
    return [Math.min(Math.max(x, x0), x1), Math.min(Math.max(y, y0), y1)];
  };
  // Asking for the box forces a layout, so a drag asks once, when it starts.
  let box = null;
  const grasp = () => {
    box = node.getBoundingClientRect();
  };
  const pointer = (event) => {
    const v = view();
    return [v.wx(event.clientX - box.left), v.wy(event.clientY - box.top)];
  };

  // Known at once, not with the next drawing: between two frames there may be several keys.
  const moveTo = (to) => {
    place = inside(to);
    hooks.moveTo(...place);
  };
  const resize = (to) => {
    radius = Math.min(Math.max(to, radiusRange.min), radiusRange.max);
    hooks.resize(radius);
  };

  drag(omega, grasp, (event) => moveTo(pointer(event)), hooks.released);
  drag(edge, grasp, (event) => resize((pointer(event)[1] - place[1]) * edgeSide), hooks.released);
  // A mouse may take hold anywhere; a finger only at the handles, or the page could not scroll.
  node.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch" || event.button !== 0 || event.target.closest(".fwx-handle")) return;
    event.preventDefault(); // else the browser moves the focus to the page, and arrow keys scroll it
    grasp();
    moveTo(pointer(event));
    omega.focus({ preventScroll: true });
    omega.dispatchEvent(new PointerEvent("pointerdown", event));
  });
  omega.addEventListener("keydown", (event) => {
    const way = ARROWS[event.key];
    if (!way) return;
    event.preventDefault();
    const [x0, x1] = surface.spec.domain;
    const step = STEP * (x1 - x0) * (event.shiftKey ? 5 : 1);
    moveTo([place[0] + way[0] * step, place[1] + way[1] * step]);
  });
  edge.addEventListener("keydown", (event) => {
    const way = ARROWS[event.key];
    if (!way && !ENDS[event.key]) return;
    event.preventDefault();
    if (ENDS[event.key]) return resize(radiusRange[ENDS[event.key]]);
    const { min, max } = radiusRange;
    const step = STEP * (max - min) * (event.shiftKey ? 5 : 1);
    resize(radius + (way[0] + way[1]) * step);
  });

  return {
    node,
    close() {
      clearTimeout(describing);
      heat.close();
      over.close();
    },
    setSurface(next) {
      surface = next;
      sampled = sampleSurface(next);
      radiusRange = next.spec.radius;
      painted = "";
      const { low, high } = sampled;
      setText(lowest, Math.abs(low) < 1e-3 * (high - low) ? "0" : show(low, 2));
      setText(highest, show(high, 2));
    },
    /** Repaint the loss if surface, size or theme changed since. */
    paint(colours) {
      const key = [...heat.size(), window.devicePixelRatio, colours.bg].join();
      if (key === painted || heat.size()[0] === 0) return;
      painted = key;
      paintHeat(heat.fit()[0], sampled, heat.node.width, heat.node.height, colours);
      const [width, height] = heat.size();
      const context = heat.fit({ keep: true })[0];
      drawAxes(context, makeView(surface.spec.domain, width, height), surface.spec, colours);
    },
    /** Draw the overlay and put the handles where they belong. */
    draw(at, size, drawing, colours) {
      const [context, width] = over.fit();
      if (width === 0) return;
      place = at;
      radius = size;
      const v = view();
      drawing(context, v);
      edgeSide = v.sy(at[1] + size) < 8 ? -1 : 1;
      moveHandle(omega, v.sx(at[0]), v.sy(at[1]));
      moveHandle(edge, v.sx(at[0]), v.sy(at[1] + edgeSide * size));
      describing ??= setTimeout(() => {
        describing = null;
        describe(omega, edge, surface, place, radius);
      }, 100);
    },
  };
}

function handle(className, name, help) {
  return element("div", {
    class: `fwx-handle ${className}`,
    role: "slider",
    tabindex: "0",
    "aria-label": name,
    "aria-description": help,
    "data-lm-suppress-shortcuts": "true",
  });
}

function moveHandle(node, x, y) {
  node.style.transform = `translate(${x}px, ${y}px)`;
}

function describe(omega, edge, surface, [x, y], radius) {
  const { domain, radius: range } = surface.spec;
  const set = (node, low, high, now, text) => {
    node.setAttribute("aria-valuemin", low);
    node.setAttribute("aria-valuemax", high);
    node.setAttribute("aria-valuenow", now);
    node.setAttribute("aria-valuetext", text);
  };
  const where = `${show(x)}, ${show(y)}; loss ${show(surface.loss(x, y))}`;
  set(omega, domain[0], domain[1], x, where);
  set(edge, range.min, range.max, radius, brief(radius));
}

/** Pointer drag with capture; moves are handed on at most once a frame by the store. */
function drag(node, started, moved, ended) {
  let active = null;
  node.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    active = event.pointerId;
    started();
    node.setPointerCapture(event.pointerId);
    node.focus({ preventScroll: true });
    node.classList.add("fwx-held");
    event.preventDefault();
  });
  node.addEventListener("pointermove", (event) => {
    if (event.pointerId === active) moved(event);
  });
  const end = (event) => {
    if (event.pointerId !== active) return;
    active = null;
    node.classList.remove("fwx-held");
    ended();
  };
  node.addEventListener("pointerup", end);
  node.addEventListener("pointercancel", end);
}

function drawAxes(context, view, spec, colours) {
  const [x0, x1, y0, y1] = spec.domain;
  const options = { halo: colours.halo, size: 10.5 };
  const xs = ticks(x0, x1, 5);
  const ys = ticks(y0, y1, 4);
  for (const x of xs.filter((v) => view.sx(v) > 42 && view.sx(v) < view.width - 90)) {
    label(context, tickText(x, xs[1] - xs[0]), [view.sx(x), view.height - 9], colours.soft, options);
  }
  for (const y of ys.filter((v) => view.sy(v) > 28 && view.sy(v) < view.height - 20)) {
    label(context, tickText(y, ys[1] - ys[0]), [6, view.sy(y)], colours.soft, { ...options, align: "left" });
  }
  const name = { ...options, size: 11, style: "italic" };
  label(context, `${spec.axes[0]} →`, [view.width - 7, view.height - 9], colours.soft, { ...name, align: "right" });
  label(context, `↑ ${spec.axes[1]}`, [6, 12], colours.soft, { ...name, align: "left" });
}
