// Forecasts that this reader was answered before, and what came of them.

import { draw } from "../chart.js";
import { read } from "../api.js";
import { h } from "../dom.js";
import { day, number, price, t } from "../words.js";
import { dayAxis, range } from "./fan.js";

const LOOKED_THROUGH = 200; // answers of the ticker, the newest
const SHOWN = 20; // forecasts
const INTERVAL = "80";

/** The reader's frozen forecasts of a ticker, those of the newest cutoffs, oldest first, each with all of its steps. */
export async function pastForecasts(ticker) {
  const { items } = await read("/predictions", { ticker, limit: LOOKED_THROUGH });
  const cutoffs = new Map(items.map((each) => [each.forecast_id, each.cutoff]));
  const newest = [...cutoffs].sort(([, one], [, other]) => (one < other ? 1 : -1)).slice(0, SHOWN);
  return Promise.all(newest.reverse().map(([id]) => read(`/forecasts/${id}`)));
}

/** One forecast's step, beside the close of its day where that came. */
function outcome(forecast, days, closes) {
  const step = forecast.steps[days - 1];
  const score = forecast.scores.find((each) => each.step === days);
  return { forecast, step, score, close: closes.get(step.target_trading_day) };
}

/** In words whether the range held; the API says so once the step is scored. */
function verdict({ score, close }) {
  const inside = score?.inside?.[INTERVAL];
  if (inside != null) return inside ? t("ticker.inside") : t("ticker.outside");
  if (score?.status === "void") return t("ticker.void");
  return close === undefined ? t("ticker.waits") : t("ticker.not_scored");
}

/** Both absolute errors as the API scored them, in percent of the price. */
function errors({ score }) {
  if (score?.absolute_error == null) return [t("none"), t("none")];
  return [score.absolute_error, score.naive_absolute_error].map((error) => number(100 * error, 2));
}

/** Draw the step `days` ahead of each forecast against the close of that day. */
export function drawPast(place, forecasts, days, bars) {
  const closes = new Map(bars.map((bar) => [bar.trading_day, bar.close]));
  const rows = forecasts.map((forecast) => outcome(forecast, days, closes)).filter(({ close, score }) => close !== undefined || score);
  if (rows.length === 0) {
    place.replaceChildren(h("p", {}, t("ticker.no_past")));
    return Promise.resolve();
  }
  const x = rows.map(({ step }) => step.target_trading_day);
  const { currency } = forecasts[0];
  const points = (name, y, color, symbol, more = {}) => ({ x, y, name, mode: "markers", marker: { color, symbol, size: 10 }, hovertemplate: "%{y:.2f}", ...more });
  return draw(place, {
    low: true,
    make: (ink) => ({
      traces: [
        points(t("ticker.median_80"), rows.map(({ step }) => step.median), ink.accent, "circle", {
          error_y: {
            type: "data",
            symmetric: false,
            color: ink.accent,
            array: rows.map(({ step }) => step.quantiles["0.9"] - step.median),
            arrayminus: rows.map(({ step }) => step.median - step.quantiles["0.1"]),
          },
        }),
        points(t("ticker.naive"), rows.map(({ step }) => step.naive), ink.naive, "line-ew-open", { marker: { color: ink.naive, symbol: "line-ew-open", size: 16, line: { width: 3 } } }),
        points(t("ticker.came"), rows.map(({ close }) => close ?? null), ink.text, "x"),
      ],
      layout: { xaxis: dayAxis([...new Set(x)].sort()), yaxis: { title: { text: currency } } },
    }),
    description: t("ticker.past_says", { n: rows.length, days }),
    figures: {
      caption: t("ticker.past"),
      head: ["cutoff", "day", "naive", "median", "range_80", "came", "verdict", "error", "naive_error"].map((name) => t(`ticker.${name}`)),
      rows: rows.map((row) => [
        day(row.forecast.cutoff),
        day(row.step.target_trading_day),
        price(row.step.naive, currency),
        price(row.step.median, currency),
        range(row.step, 0.8, currency),
        price(row.close, currency),
        verdict(row),
        ...errors(row),
      ]),
      numeric: [2, 3, 4, 5, 7, 8],
    },
  });
}
