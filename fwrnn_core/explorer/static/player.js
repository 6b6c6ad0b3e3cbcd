// Play, pause and scrub through the steps of the shown view.

import { element, setText, uniqueId } from "./dom.js";

/**
 * hooks: { length() steps in the view, pace() ms a step, caption(shown), changed() }.
 * `shown` is fractional while playing, so that the picture glides between steps.
 */
export function makePlayer(hooks) {
  const id = uniqueId("step");
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const button = element("button", { type: "button", class: "fwx-play", onclick: () => toggle() });
  const input = element("input", { type: "range", id, min: 0, step: 1, "data-name": "shown" });
  const caption = element("output", { for: id, class: "fwx-step" });
  const node = element(
    "div",
    { class: "fwx-player" },
    button,
    element("label", { for: id, class: "fwx-hidden" }, "Step shown"),
    input,
    caption,
  );
  let shown = Infinity;
  let playing = null;
  let before = 0;

  const clamped = () => Math.min(shown, hooks.length());
  const stop = () => {
    cancelAnimationFrame(playing);
    playing = null;
    refresh();
  };
  const tick = (now) => {
    shown = clamped() + Math.min(now - before, 100) / hooks.pace();
    before = now;
    if (shown >= hooks.length()) {
      shown = Infinity;
      stop();
    } else {
      playing = requestAnimationFrame(tick);
    }
    refresh();
    hooks.changed();
  };
  const toggle = () => {
    if (playing !== null) {
      shown = Math.floor(clamped());
      stop();
      hooks.changed();
      return;
    }
    if (clamped() >= hooks.length()) shown = 0;
    playing = requestAnimationFrame((now) => {
      before = now;
      tick(now);
    });
    refresh();
  };
  input.addEventListener("input", () => {
    if (playing !== null) stop();
    shown = Number(input.value) >= hooks.length() ? Infinity : Number(input.value);
    hooks.changed();
    refresh();
  });
  const refresh = () => {
    const length = hooks.length();
    const at = Math.floor(clamped() + 1e-9);
    if (input.max !== String(length)) input.max = length;
    if (input.value !== String(at)) input.value = at;
    input.style.setProperty("--fwx-fill", `${(100 * at) / (length || 1)}%`);
    const text = hooks.caption(at);
    input.setAttribute("aria-valuetext", text);
    setText(caption, text);
    const word = playing === null ? "Play" : "Pause";
    if (button.dataset.word !== word) {
      button.dataset.word = word;
      button.setAttribute("aria-label", word);
      button.replaceChildren(element("span", { class: `fwx-icon-${word.toLowerCase()}`, "aria-hidden": "true" }));
    }
  };
  return {
    node,
    refresh,
    stop,
    /** With reduced motion, whole steps only. */
    shown: () => (still.matches ? Math.floor(clamped() + 1e-9) : clamped()),
    rewind() {
      shown = Infinity;
      if (playing !== null) stop();
    },
  };
}
