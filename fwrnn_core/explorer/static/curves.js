// Curves that grow while a network trains; one small chart per entry of `charts`.

import { lineChart } from "./charts.js";
import { element, makeCanvas, setText } from "./dom.js";
import { show } from "./format.js";
import { followTheme } from "./palette.js";

const DASHES = [undefined, [8, 4], [2, 3], [10, 3, 2, 3], [1, 4]];

function render({ model, el }) {
  let colours;
  let parts = [];
  const root = element("div", { class: "fwx fwx-curves", role: "group", "aria-label": "Training curves" });
  const body = element("div", { class: "fwx-body" });
  root.append(body);
  el.append(root);

  const close = () => parts.forEach((part) => part.canvas.close());
  const build = (charts) => {
    close();
    parts = charts.map(({ title }) => {
      const canvas = makeCanvas("fwx-chart-canvas", () => draw(), { role: "img" });
      const value = element("output", { class: "fwx-chart-value" });
      const heading = element("p", { class: "fwx-chart-title" }, title, value);
      return { title, canvas, value, node: element("div", { class: "fwx-chart" }, heading, canvas.node) };
    });
    body.replaceChildren(...parts.map((part) => part.node));
  };
  const look = (index, count) => {
    const hues = [colours.delta, colours.normalised, colours.projected, colours.escaped, colours.gradient];
    const newest = index === count - 1;
    return { colour: hues[index % hues.length], dash: newest ? undefined : DASHES[index % DASHES.length], width: newest ? 2.5 : 1.6 };
  };
  const draw = () => {
    const charts = model.get("charts");
    if (charts.map((c) => c.title).join() !== parts.map((p) => p.title).join()) build(charts);
    charts.forEach(({ title, series, x_name: xName, log }, i) => {
      const drawn = series.filter((s) => s.x.length).map((s, n) => ({
        name: s.name, points: s.x.map((x, at) => [x, s.y[at]]), ...look(n, series.length),
      }));
      if (!drawn.length) return;
      const xMax = Math.max(1, ...drawn.map((s) => s.points[s.points.length - 1][0]));
      lineChart(parts[i].canvas, drawn, { colours, xMax, xName, log, floor: 1e-12 });
      const last = drawn[drawn.length - 1];
      const value = last.points[last.points.length - 1][1];
      setText(parts[i].value, show(value));
      parts[i].canvas.node.setAttribute("aria-label", `${title}: ${last.name} now at ${show(value)}`);
    });
  };
  const unfollow = followTheme(root, (next) => {
    colours = next;
    draw();
  });
  model.on("change:charts", draw);
  return () => {
    model.off("change:charts", draw);
    unfollow();
    close();
  };
}

export default { render };
