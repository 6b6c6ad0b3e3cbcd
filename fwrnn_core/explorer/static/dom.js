// The few DOM helpers the widgets share.

/** element("p", { class: "x", onclick: f, "aria-label": "y" }, "text", child) */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/**
 * A canvas that keeps to its box: `fit()` clears it and returns [context, width, height] in CSS
 * pixels, all 0 while it is not on the page. Sizes come from an observer, never from reading the
 * layout while drawing: that would cost a reflow a frame. `resized()` is called when they change.
 */
export function makeCanvas(className, resized, attributes = {}) {
  const node = element("canvas", { class: className, ...attributes });
  const context = node.getContext("2d");
  let width = 0;
  let height = 0;
  const observer = new ResizeObserver(([entry]) => {
    ({ width, height } = entry.contentRect);
    resized();
  });
  observer.observe(node);
  const fit = ({ keep = false } = {}) => {
    const scale = Math.min(window.devicePixelRatio || 1, 2);
    const [w, h] = [Math.round(width * scale), Math.round(height * scale)];
    if (node.width !== w || node.height !== h) {
      node.width = w;
      node.height = h;
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    if (!keep) context.clearRect(0, 0, width, height);
    return [context, width, height];
  };
  return { node, fit, size: () => [width, height], close: () => observer.disconnect() };
}

/** Set text only where it changed: the layout stays untouched while dragging. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

let count = 0;
/** An id that no other widget on the page has. */
export const uniqueId = (stem) => `fwx-${stem}-${(count += 1)}-${Math.random().toString(36).slice(2, 7)}`;
