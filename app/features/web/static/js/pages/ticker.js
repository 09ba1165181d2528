import { read } from "../api.js";
import { attempt } from "../attempt.js";
import { byId, facts, h, say, table } from "../dom.js";
import { needSession } from "../layout.js";
import "../search.js";
import { forecastOf } from "../ticker/collecting.js";
import { drawFan, range } from "../ticker/fan.js";
import { drawPast, pastForecasts } from "../ticker/past.js";
import { driftInWords, showWhy } from "../ticker/why.js";
import { day, instant, language, number, percent, price, t } from "../words.js";

const BARS = 150; // about seven months
const DAYS_BACK = [5, 10, 21, 30, 60];

/** What stands in the ticker's place; what is no text at all (%E0 alone, say) stays as it was written. */
function typedTicker() {
  const written = (location.pathname.split("/pages/tickers/")[1] ?? "").replace(/\/$/, "").toUpperCase();
  try {
    return decodeURIComponent(written).toUpperCase();
  } catch {
    return written;
  }
}

const ticker = typedTicker();
const daysAhead = () => Number(byId("days-ahead").value);
let shown = 0; // an answer that a later choice overtook is dropped

/** Beside the naive forecast, in words: what the figures allow to say, and no more. */
function skillInWords({ label, source, n, relative_mae: relative }) {
  const judged = t(`skill.${label}`, { days: daysAhead() });
  if (relative == null) return judged;
  return `${judged} ${t(`skill.from_${source}`, { n: number(n), relative: number(relative, 3) })}`;
}

function showSummary(forecast) {
  const last = forecast.steps.at(-1);
  const { currency, data, bundle } = forecast;
  byId("skill").textContent = skillInWords(forecast.skill[daysAhead()]);
  facts(byId("facts"), [
    [t("ticker.last_close", { day: day(forecast.cutoff) }), price(forecast.anchor, currency)],
    [t("ticker.naive_for", { day: day(last.target_trading_day) }), price(last.naive, currency)],
    [t("ticker.median_for", { day: day(last.target_trading_day) }), price(last.median, currency)],
    [t("ticker.range_80"), range(last, 0.8, currency)],
    [t("ticker.probability_up"), percent(last.probability_up, 0)],
    [t("ticker.data_age"), `${day(forecast.cutoff)} · ${data.source}${data.stale ? ` · ${t("ticker.stale")}` : ""}`],
    [t("ticker.kind"), t(`kind.${forecast.kind}`)],
    [t("ticker.made_by"), `${t(`bundle.${bundle.kind}`)} · ${t("ticker.bundle_age", { days: number(bundle.age) })}`],
  ]);
  const columns = forecast.drift_details?.left_training_distribution.map((each) => each.column) ?? [];
  byId("drift").textContent = driftInWords(forecast.drift_warning, columns);
  byId("disclaimer").textContent = language === "en" ? forecast.disclaimer : t("ticker.disclaimer");
}

/** Days of the past that a forecast can be asked for as of, as many trading days back as there are bars. */
function offerPastDays(bars) {
  const options = DAYS_BACK.filter((back) => back < bars.length).map((back) => {
    const { trading_day: value } = bars.at(-1 - back);
    return h("option", { value }, t("ticker.as_of_past", { days: back, day: day(value) }));
  });
  byId("as-of").append(...options);
}

function showRecord({ live, hindcasts }) {
  const figures = [...live, ...hindcasts].filter((each) => each.forecasts > 0);
  if (figures.length === 0) return byId("record").replaceChildren(h("p", {}, t("ticker.no_record")));
  const head = ["kind", "horizon", "forecasts", "scored", "relative_mae", "coverage_80", "judged"].map((name) => t(`ticker.${name}`));
  const rows = figures.map((each) => [
    t(`kind_short.${each.kind}`),
    number(each.horizon),
    number(each.forecasts),
    number(each.scored),
    number(each.relative_mae, 3),
    percent(each.coverage.find((one) => one.level === 0.8)?.coverage),
    t(`skill_short.${each.label}`),
  ]);
  return byId("record").replaceChildren(table(t("ticker.record"), head, rows, { numeric: [1, 2, 3, 4, 5] }));
}

async function explain(forecast) {
  const panel = byId("why");
  if (!panel.open || panel.dataset.of === forecast.forecast_id) return;
  panel.dataset.of = forecast.forecast_id;
  byId("why-content").replaceChildren(h("p", {}, t("ticker.loading")));
  await attempt(async () => showWhy(byId("why-content"), await read(`/forecasts/${forecast.forecast_id}/explain`)));
}

/** Ask for the chosen forecast and show it with all that is said beside it. */
async function show() {
  const mine = (shown += 1);
  const asOf = byId("as-of").value;
  say("");
  const forecast = await forecastOf(ticker, { days_ahead: daysAhead(), as_of: asOf });
  const { bars } = await read(`/bars/${encodeURIComponent(ticker)}`, { limit: BARS });
  if (mine !== shown) return;
  if (byId("as-of").options.length === 1) offerPastDays(bars);
  byId("forecast").hidden = false;
  showSummary(forecast);
  byId("as-of-note").hidden = asOf === "";
  byId("as-of-note").textContent = asOf && t("ticker.as_of_note", { day: day(forecast.cutoff), made_at: instant(forecast.made_at) });
  byId("why").ontoggle = () => explain(forecast);
  await drawFan(byId("chart"), forecast, bars);
  await drawPast(byId("past"), await pastForecasts(ticker), daysAhead(), bars);
  showRecord(await read(`/track-record/${encodeURIComponent(ticker)}`));
  await explain(forecast);
}

/** Show it; what the reader stopped has not failed. */
const tryToShow = () =>
  attempt(async () => {
    try {
      await show();
    } catch (error) {
      if (error.name !== "AbortError") throw error;
      say(t("ticker.stopped"));
    }
  });

byId("heading").textContent = ticker;
document.title = `${ticker} · Closecast`;
byId("ticker-input").value = ticker;
byId("choices").addEventListener("submit", (event) => event.preventDefault());
for (const choice of ["days-ahead", "as-of"]) byId(choice).addEventListener("change", tryToShow);

await needSession();
await tryToShow();
