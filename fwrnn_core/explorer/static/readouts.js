// Numbers, small charts and the table below the stage.

import { dial, lineChart } from "./charts.js";
import { element, makeCanvas, setText } from "./dom.js";
import { METHODS } from "./engine.js";
import { degrees, percent, show } from "./format.js";
import { between } from "./inner-view.js";
import { dot, square } from "./marks.js";
import { methodStyles, progress } from "./outer-view.js";

const GAP_FLOOR = 1e-4; // of the largest gap: what lies below is rounding, or as good as closed

/** Method, steps, gradients and final loss of every trajectory; the lowest loss in bold. */
export function makeTable() {
  const table = element("tbody");
  const titles = ["Method", "Steps", "Gradients", "Final loss"].map((t) => element("th", { scope: "col" }, t));
  const head = element("thead", {}, element("tr", {}, titles));
  const node = element("table", { class: "fwx-table" }, head, table);
  return { node, fill: (paths, styles) => fillTable(table, paths, styles) };
}

function fillTable(table, paths, styles) {
  const ends = METHODS.filter((m) => !paths[m].diverged).map((m) => paths[m].losses[paths[m].losses.length - 1]);
  const best = Math.min(...ends);
  const rows = Object.entries(styles).map(([method, style]) => {
    const { losses, evaluations, diverged } = paths[method];
    const last = losses.length - 1;
    return [method, style.name, String(last), String(evaluations[last]), diverged ? "diverged" : show(losses[last])];
  });
  if (!table.children.length) {
    const cells = () => [element("th", { scope: "row" }), element("td"), element("td"), element("td")];
    table.append(...rows.map(([method]) => element("tr", { "data-method": method }, cells())));
  }
  rows.forEach(([method, ...cells], i) => {
    const path = paths[method];
    const row = table.children[i];
    row.dataset.loss = path.losses[path.losses.length - 1];
    row.classList.toggle("fwx-best", !path.diverged && path.losses[path.losses.length - 1] === best);
    cells.forEach((text, j) => setText(row.children[j], text));
  });
}

/** Three small charts of the inner view and the one wide chart of the outer view. */
export function makeCharts(redraw) {
  const make = (name, title) => {
    const canvas = makeCanvas("fwx-chart-canvas", redraw, { role: "img" });
    const value = element("output", { class: "fwx-chart-value", "data-name": name });
    const heading = element("p", { class: "fwx-chart-title" }, `${title} `, value);
    return { canvas, value, node: element("div", { class: `fwx-chart fwx-chart-${name}` }, heading, canvas.node) };
  };
  const loss = make("loss", "Loss");
  const gap = make("gap", "Frank-Wolfe gap");
  const aim = make("angle", "Agreement, angle");
  const descent = make("descent", "Loss over gradient evaluations");
  const set = ({ value, canvas }, text, number, alt) => {
    setText(value, text);
    value.dataset.value = number;
    canvas.node.setAttribute("aria-label", alt);
  };
  const indexed = (values) => values.map((v, k) => [k, v]);
  const key = (swatch, text) => element("span", {}, element("span", { class: `fwx-swatch fwx-swatch-${swatch}`, "aria-hidden": "true" }), text);
  const other = key("projected", "projected gradient");
  loss.node.append(element("p", { class: "fwx-chart-key" }, key("delta", "this loop"), other));
  return {
    node: element("div", { class: "fwx-charts" }, loss.node, gap.node, aim.node, descent.node),
    close: () => [loss, gap, aim, descent].forEach((chart) => chart.canvas.close()),
    inner(loop, { shown, settings, layers, outline, colours }) {
      const K = settings.inner_steps;
      const options = { colours, xMax: K, xName: "k", cursor: shown < K ? shown : undefined };
      const series = [{ points: indexed(loop.losses), colour: colours.delta, mark: dot }];
      other.hidden = !layers.projected;
      if (layers.projected) {
        series.unshift({ points: indexed(loop.projected_losses), colour: colours.projected, dash: [2, 4], mark: square, width: 1.6 });
      }
      lineChart(loss.canvas, series, options);
      set(loss, `${show(loop.losses[0])} → ${show(loop.losses[K])}`, loop.losses[K], `Loss over the inner steps, from ${show(loop.losses[0])} to ${show(loop.losses[K])}`);
      lineChart(gap.canvas, [{ points: indexed(loop.gaps), colour: colours.delta, mark: dot }], { ...options, log: true, floor: GAP_FLOOR * Math.max(...loop.gaps) || 1e-12 });
      set(gap, show(loop.gaps[K]), loop.gaps[K], `Frank-Wolfe gap over the inner steps, ${show(loop.gaps[K])} at the end`);
      dial(aim.canvas, { loop, shown, delta: between(loop.iterates, shown), radius: settings.radius, outline, colours });
      set(aim, `${percent(loop.agreement)}, ${degrees(loop.angle)}`, loop.angle ?? "", `Agreement ${percent(loop.agreement)}; angle to the negative gradient ${degrees(loop.angle)}`);
      aim.value.dataset.agreement = loop.agreement;
    },
    outer(paths, { shown, layers, colours }, budget) {
      const styles = methodStyles(colours);
      const lowest = Math.min(...METHODS.flatMap((m) => paths[m].losses));
      const positive = lowest > 0;
      const series = METHODS.filter((m) => layers[m]).reverse().map((m) => {
        const upTo = Math.floor(progress(paths[m], shown)) + 1;
        const points = paths[m].losses.slice(0, upTo).map((v, t) => [paths[m].evaluations[t], v]);
        return { points, name: styles[m].short, colour: styles[m].colour, dash: styles[m].dash, width: styles[m].width };
      });
      const sane = METHODS.filter((m) => layers[m] && !paths[m].diverged).map((m) => Math.max(...paths[m].losses));
      const top = sane.length ? Math.max(...sane) : undefined;
      lineChart(descent.canvas, series, { colours, xMax: budget, xName: "gradient evaluations", log: positive, floor: 1e-12, top });
      const wolfe = paths["frank-wolfe"].losses;
      set(descent, `Frank-Wolfe ${show(wolfe[wolfe.length - 1])}`, wolfe[wolfe.length - 1], "Loss of the four methods over gradient evaluations; the table below has the numbers");
    },
  };
}
