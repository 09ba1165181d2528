// What came of the forecasts: every ticker, good and bad, whether the quantiles hold, and errors beside the naive's.

import { ask, read, withQuery } from "../api.js";
import { attempt } from "../attempt.js";
import { ABOVE, draw } from "../chart.js";
import { byId, h, say, table } from "../dom.js";
import "../layout.js";
import { save } from "../save.js";
import { day, number, percent, separators, t, within } from "../words.js";

const LIMIT = 50;
const SORTS = ["ticker", "scored", "relative_mae", "pinball_skill", "directional_accuracy", "newest_outcome"];
const COLUMNS = ["ticker", "scored", "relative_mae", "pinball_skill", "coverage_80", "coverage_95", "directional_accuracy", "newest_outcome"];
const NUMERIC = [1, 2, 3, 4, 5, 6];
const order = { sort: "relative_mae", descending: false };
let shown = [];
let cursor = null;
let asked = 0; // an answer that a later choice overtook is dropped

const chosen = () => ({ kind: byId("kind").value, horizon: byId("horizon").value, window: byId("window").value });

/** Below 1 it is better than the naive; colour alone would not tell. */
function ratio(value) {
  if (value == null) return t("none");
  const better = value < 1;
  return h("span", { class: better ? "better" : value > 1 ? "worse" : null }, `${number(value, 3)} ${better ? "▲" : value > 1 ? "▼" : "="}`);
}

const tickerRow = (each) => [
  h("a", { href: `/pages/tickers/${encodeURIComponent(each.ticker)}` }, each.ticker),
  number(each.scored, 0),
  ratio(each.relative_mae),
  percent(each.pinball_skill, 2),
  percent(each.coverage["80"]),
  percent(each.coverage["95"]),
  percent(each.directional_accuracy),
  day(each.newest_outcome),
];

function heading(column) {
  if (!SORTS.includes(column)) return t(`record.head.${column}`);
  const mark = order.sort === column ? (order.descending ? " ↓" : " ↑") : "";
  return h("button", { type: "button", class: "quiet sort", "data-sort": column, onclick: () => sortBy(column) }, `${t(`record.head.${column}`)}${mark}`);
}

function showTickers() {
  const place = byId("tickers");
  if (shown.length === 0) return place.replaceChildren(h("p", {}, t("record.no_tickers")));
  place.replaceChildren(table(t("record.tickers_caption"), COLUMNS.map(heading), shown.map(tickerRow), { numeric: NUMERIC }));
  const sorted = place.querySelector(`thead th:nth-child(${COLUMNS.indexOf(order.sort) + 1})`);
  sorted.setAttribute("aria-sort", order.descending ? "descending" : "ascending");
}

async function sortBy(column) {
  order.descending = order.sort === column ? !order.descending : column !== "ticker" && column !== "relative_mae";
  order.sort = column;
  await attempt(loadTickers);
  byId("tickers").querySelector(`[data-sort="${column}"]`)?.focus();
}

async function loadTickers({ further = false } = {}) {
  const mine = (asked += 1);
  const page = await read("/track-record/tickers", { ...chosen(), ...order, limit: LIMIT, cursor: further ? cursor : null });
  if (mine !== asked) return;
  shown = further ? [...shown, ...page.items] : page.items;
  cursor = page.next_cursor;
  byId("more").hidden = cursor === null;
  showTickers();
}

function bundleRow(each, served) {
  const eighty = each.coverage.find(({ level }) => level === 0.8);
  const name = each.bundle_id.slice(0, 12);
  return [
    h("span", { class: "code", title: each.bundle_id }, served === each.bundle_id ? `${name} (${t("record.served")})` : name),
    t(`skill_short.${each.label}`),
    number(each.scored, 0),
    within(each.relative_mae, each.relative_mae_interval, (value) => number(value, 3)),
    within(each.pinball_skill, each.pinball_skill_interval, (value) => percent(value, 2)),
    eighty ? percent(eighty.coverage) : t("none"),
    eighty?.rejected == null ? t("record.promise.untested") : t(`record.promise.${eighty.rejected ? "broken" : "kept"}`),
  ];
}

async function loadBundles() {
  const { kind, horizon, window } = chosen();
  const record = await read("/track-record", { horizon, window, limit: 1 });
  const rows = (kind === "live" ? record.live : record.hindcasts).map((each) => bundleRow(each, record.served_bundle_id));
  const head = ["bundle", "label", "scored", "relative_mae", "pinball_skill", "coverage_80", "promise"].map((name) => t(`record.head.${name}`));
  byId("bundles").replaceChildren(rows.length ? table(t("record.bundles_caption"), head, rows, { numeric: [2, 3, 4, 5] }) : h("p", {}, t("record.nothing_scored")));
  byId("chain").textContent = record.chain === null ? t("record.no_chain") : `${record.chain.day} ${record.chain.head}`;
}

async function loadReliability() {
  const { kind, horizon, window } = chosen();
  const { levels } = await read("/track-record/calibration", { horizon, window });
  const found = levels.filter((each) => each.kind === kind);
  if (found.length === 0) return byId("reliability").replaceChildren(h("p", {}, t("record.nothing_scored")));
  const furthest = found.reduce((worst, each) => (Math.abs(each.observed - each.level) > Math.abs(worst.observed - worst.level) ? each : worst));
  const promised = found.map((each) => each.level);
  const points = (name, values, colour, symbol) => ({ name, x: promised, y: values, mode: "lines+markers", line: { color: colour }, marker: { symbol, size: 8 }, hovertemplate: "%{y:.1%}" });
  const axis = (text) => ({ title: { text }, range: [0, 1], tickformat: ".0%" });
  await draw(byId("reliability"), {
    make: (ink) => ({
      traces: [
        { name: t("record.promised"), x: [0, 1], y: [0, 1], mode: "lines", line: { color: ink.muted, dash: "dot" }, hoverinfo: "skip" },
        points(t("record.naive"), found.map((each) => each.naive_observed), ink.naive, "square"),
        points(t("record.ours"), found.map((each) => each.observed), ink.accent, "circle"),
      ],
      layout: { xaxis: axis(t("record.promised")), yaxis: axis(t("record.observed")), legend: ABOVE, separators },
    }),
    description: t("record.reliability_says", { n: number(furthest.n, 0), level: percent(furthest.level), observed: percent(furthest.observed) }),
    figures: {
      caption: t("record.reliability"),
      head: [t("record.promised"), t("record.observed"), t("record.naive"), t("record.outcomes")],
      rows: found.map((each) => [percent(each.level), percent(each.observed), percent(each.naive_observed), number(each.n, 0)]),
      numeric: [1, 2, 3],
    },
  });
}

async function loadErrors() {
  const { kind, horizon, window } = chosen();
  const { periods } = await read("/track-record/errors", { horizon, window, by: byId("by").value });
  const found = periods.filter((each) => each.kind === kind && each.scored > 0);
  if (found.length === 0) return byId("errors").replaceChildren(h("p", {}, t("record.nothing_scored")));
  const better = found.filter((each) => each.relative_mae !== null && each.relative_mae < 1).length;
  const line = (name, key, colour, dash) => ({ name, x: found.map((each) => each.start), y: found.map((each) => each[key]), mode: "lines+markers", line: { color: colour, dash }, hovertemplate: "%{y:.2%}" });
  await draw(byId("errors"), {
    make: (ink) => ({
      traces: [line(t("record.naive"), "naive_mae", ink.naive, "dash"), line(t("record.ours"), "mae", ink.accent)],
      layout: { legend: ABOVE, separators, xaxis: { type: "date", tickformat: "%Y-%m", nticks: 8 }, yaxis: { title: { text: t("record.mae") }, tickformat: ".1%", rangemode: "tozero" } },
    }),
    description: t("record.errors_says", { better, n: found.length }),
    figures: {
      caption: t("record.errors"),
      head: [t("record.from"), t("record.ours"), t("record.naive"), t("record.head.relative_mae"), t("record.outcomes")],
      rows: found.map((each) => [day(each.start), percent(each.mae, 2), percent(each.naive_mae, 2), number(each.relative_mae, 3), number(each.scored, 0)]),
      numeric: [1, 2, 3, 4],
    },
  });
}

async function download() {
  const answer = await ask("GET", withQuery("/track-record/tickers.csv", { ...chosen(), ...order }));
  save(await answer.blob(), /filename="([^"]+)"/.exec(answer.headers.get("content-disposition"))[1]);
  say(t("record.downloaded"), "good");
}

async function loadAll() {
  say("");
  byId("kind-means").textContent = t(`record.means.${byId("kind").value}`);
  await attempt(() => Promise.all([loadBundles(), loadReliability(), loadErrors(), loadTickers()]));
}

byId("choose").addEventListener("submit", (event) => event.preventDefault());
byId("choose").addEventListener("change", loadAll);
byId("by").addEventListener("change", () => attempt(loadErrors));
byId("more").addEventListener("click", () => attempt(() => loadTickers({ further: true })));
byId("download").addEventListener("click", () => attempt(download));
await loadAll();
