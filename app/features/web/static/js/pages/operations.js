// How the installation is doing: health, latency, sources, data, queues, jobs. Read again while the reader wants that.

import { needAdmin } from "../admins.js";
import { Problem, read } from "../api.js";
import { attempt } from "../attempt.js";
import { byId, facts, h, say, table } from "../dom.js";
import { day, instant, number, t } from "../words.js";

const AGAIN_MS = 15_000;
const WINDOWS = ["last_hour", "last_day", "all_time"];
const ERRORS = ["unknown", "refused", "unavailable", "failed"];

const milliseconds = (value) => (value == null ? t("none") : `${number(value, 1)} ms`);
const head = (...names) => names.map((name) => t(`operations.head.${name}`));

/** A state in words; what is wrong is marked by more than its colour. */
const state = (words, isWrong) => (isWrong ? h("strong", { class: "worse" }, `⚠ ${words}`) : words);

/** A table, or in words that there is nothing to tell. */
function put(part, columns, rows, numeric) {
  byId(part).replaceChildren(rows.length ? table(t(`operations.${part}`), head(...columns), rows, { numeric }) : h("p", { class: "muted" }, t(`operations.no.${part}`)));
}

/** Checks of /readyz, which says them in its problem where one is wrong. */
async function checks() {
  try {
    return (await read("/readyz")).checks;
  } catch (error) {
    if (error instanceof Problem && error.document.checks) return error.document.checks;
    throw error;
  }
}

function showHealth(found, told) {
  const isReady = Object.values(found).every((each) => each === "ok");
  byId("health-words").replaceChildren(state(t(`operations.ready.${isReady}`), !isReady));
  facts(byId("health"), [
    ...Object.entries(found).map(([name, each]) => [t(`operations.check.${name}`), state(each === "ok" ? t("operations.fine") : each, each !== "ok")]),
    [t("operations.workers"), state(number(told.workers, 0), told.workers === 0)],
    [t("operations.scored_at"), instant(told.scored_at)],
  ]);
}

function showLatency(monitor) {
  const rows = WINDOWS.map((name) => {
    const { inferences, latency_ms: latency, errors } = monitor[name];
    return [
      t(`operations.${name}`),
      number(inferences, 0),
      ...["p50", "p95", "p99", "max"].map((each) => milliseconds(latency[each])),
      ...ERRORS.map((each) => state(number(errors[each], 0), each === "failed" && errors[each] > 0)),
    ];
  });
  put("latency", ["window", "answers", "p50", "p95", "p99", "max", ...ERRORS], rows, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  if (monitor.behind) byId("latency").append(h("p", { class: "notice bad" }, t("operations.behind")));
}

function showSources(told) {
  const sources = told.sources.map((each) => [
    each.source,
    state(t(`operations.circuit.${each.circuit}`), each.circuit !== "closed"),
    number(each.failures, 0),
    instant(each.opened_at),
    number(each.tokens, 1),
    instant(each.asked_at),
  ]);
  put("sources", ["source", "circuit", "failures", "opened_at", "tokens", "asked_at"], sources, [2, 4]);
  const errors = told.source_errors.map((each) => [each.source || t("none"), each.cause, number(each.tickers, 0), each.example, each.detail, instant(each.until)]);
  put("source_errors", ["source", "cause", "tickers", "example", "detail", "until"], errors, [2]);
}

function showData(told) {
  const rows = told.data.map((each) => [
    each.exchange,
    t(`operations.live.${each.live}`),
    number(each.tickers, 0),
    day(each.newest),
    state(number(each.behind, 0), each.live && each.behind > 0),
    instant(each.published_at),
  ]);
  put("data", ["exchange", "kind", "tickers", "newest", "late", "published_at"], rows, [2, 4]);
}

function showJobs(told) {
  const queues = told.queues.map((each) => [each.queue, each.task, number(each.waiting, 0), number(each.running, 0), state(number(each.failed, 0), each.failed > 0), instant(each.oldest_at)]);
  put("queues", ["queue", "task", "waiting", "running", "failed_jobs", "oldest_at"], queues, [2, 3, 4]);
  const jobs = told.jobs.map((each) => [t(`models.job.${each.kind}`), t(`models.status.${each.status}`), number(each.jobs, 0), state(number(each.abandoned, 0), each.abandoned > 0)]);
  put("jobs", ["kind", "status", "jobs", "abandoned"], jobs, [2, 3]);
}

function showCloses(told) {
  const rows = told.closes.map((close) => [
    `${close.exchange} ${day(close.trading_day)}`,
    ...close.steps.map((step) => {
      const words = state(t(`operations.step_state.${step.state}`), step.state === "failed");
      return step.error === null ? words : h("span", { title: step.error }, words);
    }),
  ]);
  put("closes", ["close", "collect", "score", "precompute", "drift", "retrain", "gate"], rows, []);
}

async function showAll() {
  const [found, monitor, told] = await Promise.all([checks(), read("/monitor"), read("/operations")]);
  showHealth(found, told);
  showLatency(monitor);
  showSources(told);
  showData(told);
  showJobs(told);
  showCloses(told);
  byId("seen").textContent = t("operations.seen", { at: instant(told.timestamp) });
  say("");
}

await needAdmin();
await attempt(showAll);
setInterval(() => byId("again").checked && !document.hidden && attempt(showAll), AGAIN_MS);
