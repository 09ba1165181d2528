// Candles of the last months, the fan of the coming trading days, and the naive forecast as a line.

import { draw } from "../chart.js";
import { day, percent, price, t } from "../words.js";

// Widest first: each lies on the one before. [colour, share, lower, upper]
const BANDS = [
  ["band95", 0.95, "0.025", "0.975"],
  ["band80", 0.8, "0.1", "0.9"],
  ["band50", 0.5, "0.25", "0.75"],
];
const SHORT = { day: "numeric", month: "short" };
const narrow = matchMedia("(max-width: 44rem)");

/** The range of a step in words, such as 80 %: 421.10 to 442.60. */
export function range(step, share, currency) {
  const [, , lower, upper] = BANDS.find((band) => band[1] === share);
  return t("ticker.range", { lower: price(step.quantiles[lower], currency), upper: price(step.quantiles[upper], currency) });
}

function bandTraces(forecast, days, ink) {
  return BANDS.flatMap(([colour, share, lower, upper]) => {
    const edge = (level) => [forecast.anchor, ...forecast.steps.map((step) => step.quantiles[level])];
    const line = { x: days, mode: "lines", line: { width: 0 }, hoverinfo: "skip", legendgroup: colour };
    return [
      { ...line, y: edge(lower), showlegend: false },
      { ...line, y: edge(upper), fill: "tonexty", fillcolor: ink[colour], name: t("ticker.band", { share: percent(share, 0) }) },
    ];
  });
}

function lineTraces(forecast, days, ink) {
  const line = { x: days, mode: "lines", hovertemplate: "%{y:.2f}" };
  return [
    { ...line, y: [forecast.anchor, ...forecast.steps.map((step) => step.median)], name: t("ticker.median"), line: { color: ink.accent, width: 2.5 } },
    { ...line, y: days.map(() => forecast.anchor), name: t("ticker.naive"), line: { color: ink.naive, width: 2.5, dash: "dash" } },
  ];
}

function candleTrace(bars, ink) {
  const side = (colour) => ({ line: { color: colour, width: 1 }, fillcolor: colour });
  const column = (name) => bars.map((bar) => bar[name]);
  return {
    type: "candlestick",
    name: t("ticker.candles"),
    x: column("trading_day"),
    open: column("open"),
    high: column("high"),
    low: column("low"),
    close: column("close"),
    increasing: side(ink.up),
    decreasing: side(ink.down),
  };
}

/** An axis of trading days alone, so that weekends and holidays leave no gap, with some of them named. */
export function dayAxis(days) {
  const every = Math.ceil(days.length / (narrow.matches ? 4 : 9));
  const named = days.filter((_, index) => index % every === 0);
  return { type: "category", categoryorder: "array", categoryarray: days, tickvals: named, ticktext: named.map((each) => day(each, SHORT)), rangeslider: { visible: false } };
}

/** Draw a forecast after the bars before it, and over those after it where they came already. */
export function drawFan(place, forecast, allBars) {
  const behind = allBars.filter((bar) => bar.trading_day <= forecast.cutoff).slice(narrow.matches ? -30 : -90);
  const last = forecast.steps.at(-1);
  const ahead = allBars.filter((bar) => bar.trading_day > forecast.cutoff && bar.trading_day <= last.target_trading_day);
  const bars = [...behind, ...ahead];
  const fanDays = [forecast.cutoff, ...forecast.steps.map((step) => step.target_trading_day)];
  const days = [...new Set([...bars.map((bar) => bar.trading_day), ...fanDays])].sort();
  const { currency, ticker } = forecast;
  const came = new Map(ahead.map((bar) => [bar.trading_day, bar.close]));
  return draw(place, {
    make: (ink) => ({
      traces: [...bandTraces(forecast, fanDays, ink), candleTrace(bars, ink), ...lineTraces(forecast, fanDays, ink)],
      layout: { xaxis: dayAxis(days), yaxis: { title: { text: currency } } },
    }),
    description: t("ticker.chart_says", {
      ticker,
      day: day(last.target_trading_day),
      median: price(last.median, currency),
      naive: price(last.naive, currency),
      range: range(last, 0.8, currency),
    }),
    figures: {
      caption: t("ticker.chart"),
      head: [t("ticker.day"), t("ticker.naive"), t("ticker.median"), ...[0.5, 0.8, 0.95].map((share) => t("ticker.band", { share: percent(share, 0) })), t("ticker.came")],
      rows: forecast.steps.map((step) => [
        day(step.target_trading_day),
        price(step.naive, currency),
        price(step.median, currency),
        ...[0.5, 0.8, 0.95].map((share) => range(step, share, currency)),
        price(came.get(step.target_trading_day), currency),
      ]),
      numeric: [1, 2, 3, 4, 5, 6],
    },
  });
}
