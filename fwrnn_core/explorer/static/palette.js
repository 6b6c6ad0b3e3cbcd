// Colours of both themes, and which theme the page is in. Hues follow Okabe & Ito (2008), darkened
// or lightened for contrast; every series also has its own mark or dash, so none rests on hue alone.

const LIGHT = {
  bg: "#ffffff",
  panel: "#f5f6f7",
  line: "#cfd6dc",
  ink: "#17212b",
  soft: "#4c5a67",
  halo: "rgba(255,255,255,0.9)",
  ball: "rgba(255,255,255,0.42)",
  contour: "rgba(38,66,92,0.20)",
  delta: "#c2370a",
  vertex: "#e69f00",
  vertexEdge: "#5f3d00",
  projected: "#00694d",
  gradient: "#17212b",
  escaped: "#8a2f86",
  normalised: "#0a5a99",
  network: "#0a5a99",
  focus: "#0a5a99",
  heat: ["#fdfbf5", "#e9ece6", "#ccd9dc", "#a9c0cd", "#86a5bb"],
};

const DARK = {
  bg: "#14181e",
  panel: "#1d232b",
  line: "#3a444f",
  ink: "#eef2f5",
  soft: "#b4c0ca",
  halo: "rgba(10,14,18,0.82)",
  ball: "rgba(255,255,255,0.10)",
  contour: "rgba(190,220,240,0.16)",
  delta: "#ff8a5c",
  vertex: "#ffc54a",
  vertexEdge: "#2b1c00",
  projected: "#48dfae",
  gradient: "#eef2f5",
  escaped: "#f0a3ea",
  normalised: "#7fc1ff",
  network: "#7fc1ff",
  focus: "#7fc1ff",
  heat: ["#11161d", "#182531", "#233a49", "#325263", "#446c7f"],
};

const dark = window.matchMedia("(prefers-color-scheme: dark)");

/** "light" or "dark": the Sphinx theme's word, else JupyterLab's, else the system's. */
export function currentTheme() {
  const sphinx = document.documentElement.dataset.theme;
  if (sphinx === "dark" || sphinx === "light") return sphinx;
  const lab = document.body.dataset.jpThemeLight;
  if (lab) return lab === "false" ? "dark" : "light";
  return dark.matches ? "dark" : "light";
}

/** Call `changed(colours)` now and whenever the theme changes; returns what stops it. */
export function followTheme(root, changed) {
  let theme;
  const check = () => {
    if (currentTheme() === theme) return;
    theme = currentTheme();
    const colours = theme === "dark" ? DARK : LIGHT;
    root.dataset.fwxTheme = theme;
    for (const [name, value] of Object.entries(colours)) {
      if (typeof value === "string") root.style.setProperty(`--fwx-${name}`, value);
    }
    root.style.setProperty("--fwx-heat", colours.heat.join(", "));
    changed(colours);
  };
  const observer = new MutationObserver(check);
  observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  observer.observe(document.body, { attributeFilter: ["data-jp-theme-light"] });
  dark.addEventListener("change", check);
  check();
  return () => {
    observer.disconnect();
    dark.removeEventListener("change", check);
  };
}
