// How far the newest bars have moved from what the champion was trained on.

import { call, read } from "../api.js";
import { attempt } from "../attempt.js";
import { byId, h, say, table } from "../dom.js";
import { instant, number, percent, t } from "../words.js";

const LIMIT = 20;
const OPEN = ["queued", "running"];
const LOOK_MS = 2_000;

function columnsOf(report) {
  const head = ["column", "psi", "ks", "p_value", "severity"].map((name) => t(`models.drift.${name}`));
  const rows = report.columns.map((each) => [h("span", { class: "code" }, each.column), number(each.psi, 3), number(each.ks, 3), number(each.p_value, 4), t(`models.severity.${each.severity}`)]);
  const parts = [table(t("models.drift_columns"), head, rows, { numeric: [1, 2, 3] })];
  if (report.error) parts.push(h("p", {}, t("models.drift_error", { relative: number(report.error.relative, 3), n: report.error.n_days, severity: t(`models.severity.${report.error.severity}`) })));
  for (const each of report.coverage ?? []) parts.push(h("p", {}, t("models.drift_coverage", { level: percent(each.level, 0), coverage: percent(each.coverage), severity: t(`models.severity.${each.severity}`) })));
  return h("details", {}, h("summary", {}, t("models.details")), ...parts);
}

function row(report) {
  const made = report.status === "succeeded";
  return [
    made ? instant(report.made_at) : t(`models.status.${report.status}`),
    report.asked_by ?? t("none"),
    report.n_tickers === null ? t("none") : number(report.n_tickers, 0),
    made ? t(`models.recommends.${report.recommendation}`) : t("none"),
    report.reason ?? report.failure ?? t("none"),
    made ? columnsOf(report) : t("none"),
  ];
}

export async function showDrift() {
  const { items } = await read("/drift", { limit: LIMIT });
  const head = ["made", "asked_by", "tickers", "recommends", "why", "columns"].map((name) => t(`models.head.${name}`));
  byId("drift").replaceChildren(items.length ? table(t("models.drift"), head, items.map(row)) : h("p", {}, t("models.no_drift")));
}

async function detect() {
  let report = await call("POST", "/drift/detect", { body: {} });
  say(t("models.detecting"));
  while (OPEN.includes(report.status)) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    report = await read(`/drift/${report.id}`);
  }
  const words = report.status === "succeeded" ? t(`models.recommends.${report.recommendation}`) : (report.failure ?? t(`models.status.${report.status}`));
  say(t("models.detected", { words }), report.recommendation === "ok" ? "good" : "bad");
  await showDrift();
}

byId("detect").addEventListener("click", () => attempt(detect));
