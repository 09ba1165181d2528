// Charts by Plotly, in the colours of the page's theme, each with the same figures as a table.

import { h, table } from "./dom.js";
import { t } from "./words.js";

const NAMES = ["bg", "text", "muted", "line", "accent", "naive", "up", "down", "band50", "band80", "band95"];
export const ABOVE = { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" }; // a legend below would lie on the axis' title where it is narrow
const drawn = new Map(); // by canvas how it is drawn, to be drawn again when the theme changes
let library;

/** Plotly, loaded when the first chart asks for it. */
function plotly() {
  library ??= new Promise((resolve, reject) => {
    const script = h("script", { src: document.documentElement.dataset.plotly, onload: () => resolve(window.Plotly), onerror: reject });
    document.head.append(script);
  });
  return library;
}

/** The theme's colours as they are now; a custom property is told unresolved, so an element wears each of them. */
function colours() {
  const probe = h("span", { hidden: true });
  document.body.append(probe);
  const found = {};
  for (const name of NAMES) {
    probe.style.color = `var(--${name})`;
    found[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return found;
}

function layoutOf(given, ink) {
  const axis = { gridcolor: ink.line, linecolor: ink.line, zerolinecolor: ink.line, automargin: true, fixedrange: true };
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: ink.text, family: "system-ui, sans-serif", size: 13 },
    margin: { l: 8, r: 8, t: 8, b: 8 },
    hovermode: "x unified",
    hoverlabel: { bgcolor: ink.bg, bordercolor: ink.line, font: { color: ink.text } },
    legend: { orientation: "h", y: -0.15, yanchor: "top", x: 0 },
    dragmode: false,
    ...given,
    xaxis: { ...axis, ...given.xaxis },
    yaxis: { ...axis, ...given.yaxis },
  };
}

/**
 * Draw into `place`, in the room of what was there.
 *
 * `make(colours)` gives {traces, layout}; `description` says in words what a reader who sees it would take from it;
 * `figures` is {caption, head, rows, numeric}, the same as a table; `low` charts are two thirds as high.
 */
export async function draw(place, { make, description, figures, low = false }) {
  const canvas = h("div", { class: low ? "chart low" : "chart", role: "img", "aria-label": description });
  const { caption, head, rows, ...options } = figures;
  const asTable = h("details", {}, h("summary", {}, t("chart.as_table")), table(caption, head, rows, options));
  place.replaceChildren(h("figure", {}, canvas, h("figcaption", { class: "visually-hidden" }, description), asTable));
  for (const former of drawn.keys()) if (!former.isConnected) drawn.delete(former);
  drawn.set(canvas, make);
  await redraw(canvas, make);
}

async function redraw(canvas, make) {
  const library = await plotly();
  const ink = colours();
  const { traces, layout } = make(ink);
  await library.react(canvas, traces, layoutOf(layout, ink), { displayModeBar: false, responsive: true, showTips: false });
}

function redrawAll() {
  for (const [canvas, make] of drawn) redraw(canvas, make);
}
new MutationObserver(redrawAll).observe(document.documentElement, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
