// What scrolls sideways must also scroll by keyboard: it takes the focus exactly while it scrolls.
// The theme does this for code and tables, but only a while after the width has changed.
const WIDE =
  ".bd-article :is(div.math, mjx-container[display=true], pre, .pst-scrollable-table-container), " +
  ".bd-article figure, .cell_output .text_html";
let planned = false;

function markScrollable() {
  planned = false;
  for (const el of document.querySelectorAll(WIDE)) {
    if (el.scrollWidth > el.clientWidth + 1) el.tabIndex = 0;
    else el.removeAttribute("tabindex");
    markEnd(el);
  }
}

// Where a reader cannot see that something goes on, it fades at its right edge.
function markEnd(el) {
  el.style.setProperty("--seen", `${el.scrollLeft + el.clientWidth}px`);
  el.classList.toggle("goes-on", el.scrollWidth - el.clientWidth - el.scrollLeft > 2);
}

function plan() {
  if (!planned) requestAnimationFrame(markScrollable);
  planned = true;
}

addEventListener("load", () => {
  plan();
  addEventListener("resize", plan);
  document.fonts.addEventListener("loadingdone", plan);
  const scrolled = ({ target }) => target instanceof Element && target.matches(WIDE) && markEnd(target);
  document.addEventListener("scroll", scrolled, { capture: true, passive: true });
  // The theme leaves the drawer of contents open over the section that was chosen in it.
  document.addEventListener("click", ({ target }) => target.closest('dialog a[href^="#"]')?.closest("dialog").close());
  // Mathematics is set after the page has loaded.
  const article = document.querySelector(".bd-article");
  if (article) new MutationObserver(plan).observe(article, { childList: true, subtree: true });
});
