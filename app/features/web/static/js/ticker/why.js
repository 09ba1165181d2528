// Why a forecast is as it is: what went in, how usual that is, and what made it.

import { draw } from "../chart.js";
import { facts, h, table } from "../dom.js";
import { day, has, instant, number, percent, t } from "../words.js";
import { dayAxis } from "./fan.js";

const NEAREST_SHOWN = 5;
const DIGITS_OF_AN_ID = 12;

const short = (id) => h("span", { class: "code", title: id }, id.slice(0, DIGITS_OF_AN_ID));

/** A word of the API's in the reader's language, where there is one. */
const word = (family, name) => (has(`${family}.${name}`) ? t(`${family}.${name}`) : name);

/** Whether the inputs are like those of training, in words. */
export function driftInWords(warning, columns) {
  if (warning == null) return t("drift.unknown");
  return warning ? t("drift.left", { columns: columns.join(", ") }) : t("drift.usual");
}

function lineage(line) {
  const list = h("dl", { class: "facts" });
  facts(list, [
    [t("why.bundle"), short(line.bundle_id)],
    [t("why.kind"), word("bundle", line.bundle_kind)],
    [t("why.made_at"), instant(line.bundle_made_at)],
    [t("why.train_end"), day(line.train_end)],
    [t("why.calibration_end"), day(line.calibration_end)],
    [t("why.promotion"), line.promotion ? `${word("promotion", line.promotion.kind)}, ${instant(line.promotion.decided_at)}` : t("why.no_promotion")],
    [t("why.source"), line.source],
    [t("why.data_version"), h("span", {}, `${line.data_version} · `, short(line.data_sha256))],
    [t("why.repaired"), number(line.repaired_bars)],
    [t("why.market"), word("market", line.market_inputs)],
  ]);
  return list;
}

function inputsAsChart(place, inputs) {
  const names = Object.keys(inputs.scaled);
  const days = inputs.days;
  return draw(place, {
    low: true,
    make: (ink) => ({
      traces: names.map((name, index) => ({
        x: days,
        y: inputs.scaled[name],
        name,
        mode: "lines",
        line: { color: [ink.accent, ink.naive, ink.up, ink.down, ink.muted][index % 5], dash: ["solid", "dot", "dash"][Math.floor(index / 5) % 3] },
      })),
      layout: { xaxis: dayAxis(days), yaxis: { title: { text: t("why.scaled") } } },
    }),
    description: t("why.inputs_say", { n: names.length, first: day(days[0]), last: day(days.at(-1)) }),
    figures: {
      caption: t("why.inputs"),
      head: [t("ticker.day"), ...names],
      rows: days.map((each, index) => [day(each), ...names.map((name) => number(inputs.columns[name][index], 5))]),
      numeric: names.map((_, index) => index + 1),
    },
  });
}

function nearest(windows) {
  const horizons = Object.keys(windows[0].log_returns);
  return table(
    t("why.nearest"),
    [t("ticker.cutoff"), t("why.distance"), ...horizons.map((each) => t("why.after", { days: each }))],
    windows.slice(0, NEAREST_SHOWN).map((each) => [day(each.cutoff), number(each.distance, 3), ...horizons.map((name) => percent(Math.expm1(each.log_returns[name])))]),
    { numeric: [1, ...horizons.map((_, index) => index + 2)] },
  );
}

/** Show an explanation. */
export async function showWhy(place, explained) {
  const columns = (explained.drift ?? []).map((each) => each.column);
  const parts = [h("h3", {}, t("why.lineage")), lineage(explained.lineage), h("h3", {}, t("why.drift")), h("p", {}, driftInWords(explained.drift_warning, columns))];
  const chart = h("div");
  parts.push(h("h3", {}, t("why.inputs")), explained.inputs ? chart : h("p", {}, explained.missing_because));
  if (explained.nearest.length) parts.push(h("h3", {}, t("why.nearest")), h("p", { class: "muted" }, t("why.nearest_about")), nearest(explained.nearest));
  place.replaceChildren(...parts);
  if (explained.inputs) await inputsAsChart(chart, explained.inputs);
}
