// Trainings and the like: asked for, followed as they happen, cancelled.

import { call, read } from "../api.js";
import { attempt } from "../attempt.js";
import { ABOVE, draw } from "../chart.js";
import { byId, h, onSubmit, say, table } from "../dom.js";
import { follow } from "../events.js";
import { sure } from "../sure.js";
import { instant, number, separators, t } from "../words.js";
import { showModels } from "./bundles.js";

const LIMIT = 20;
const OPEN = ["queued", "running"];
const DRAWN_MS = 1_000; // a curve is drawn again at most so often
let following = new AbortController();

function outcome(job) {
  if (job.failure !== null) return job.failure;
  const { metrics } = job;
  if (metrics?.val_mae == null) return t("none");
  return t("models.val_mae", { own: number(metrics.val_mae, 4), naive: number(metrics.naive_val_mae, 4) });
}

function row(job) {
  const name = { id: job.job_id.slice(0, 8) };
  const buttons = [h("button", { type: "button", class: "plain", "aria-label": t("models.follow_named", name), onclick: () => attempt(() => show(job)) }, t("models.follow"))];
  if (OPEN.includes(job.status)) buttons.push(h("button", { type: "button", class: "danger", "aria-label": t("models.cancel_named", name), onclick: () => cancel(job) }, t("models.cancel")));
  return [
    h("span", { class: "code" }, job.job_id.slice(0, 8)),
    t(`models.job.${job.kind}`),
    t(`models.status.${job.status}`),
    instant(job.created_at),
    instant(job.finished_at),
    outcome(job),
    h("span", { class: "choices" }, ...buttons),
  ];
}

export async function showJobs() {
  const { items } = await read("/train", { limit: LIMIT });
  const head = ["job", "kind", "status", "asked", "ended", "outcome", "actions"].map((name) => t(`models.head.${name}`));
  byId("jobs").replaceChildren(items.length ? table(t("models.jobs_caption"), head, items.map(row)) : h("p", {}, t("models.no_jobs")));
  return items;
}

async function cancel(job) {
  const places = { kind: t(`models.job.${job.kind}`), id: job.job_id.slice(0, 8) };
  const answer = await sure({ heading: t("models.cancel_heading", places), text: t("models.cancel_text"), yes: t("models.cancel_yes") });
  if (answer === null) return;
  await attempt(async () => {
    await call("DELETE", `/train/${job.job_id}`);
    say(t("models.cancelled", places), "good");
    await showJobs();
  });
}

/** What the events of one job add up to. */
class Told {
  constructor() {
    this.epochs = new Map(); // losses by epoch; several progress events tell of one
    this.done = 0;
    this.status = null;
  }

  take({ kind, data }) {
    if (kind === "status") this.status = data;
    if (kind === "log") byId("lines").append(h("li", {}, data.text));
    if (kind !== "progress") return;
    if (data.epoch != null && (data.train_loss ?? data.loss) != null) this.epochs.set(data.epoch, { train: data.train_loss ?? data.loss, validation: data.validation_loss ?? null });
    if (data.epochs) this.done = data.epoch / data.epochs;
    else if (data.total) this.done = (data.trials ?? data.batches ?? 0) / data.total;
  }
}

async function drawCurve(told) {
  const epochs = [...told.epochs.keys()].sort((a, b) => a - b);
  if (epochs.length === 0) return;
  const rows = epochs.map((epoch) => [epoch, told.epochs.get(epoch)]);
  const line = (name, key, colour, dash) => ({ name, x: epochs, y: rows.map(([, losses]) => losses[key]), mode: "lines+markers", line: { color: colour, dash } });
  const best = rows.reduce((least, each) => ((each[1].validation ?? Infinity) < (least[1].validation ?? Infinity) ? each : least));
  await draw(byId("curve"), {
    make: (ink) => ({
      traces: [line(t("models.train_loss"), "train", ink.muted, "dash"), line(t("models.validation_loss"), "validation", ink.accent)],
      layout: { legend: ABOVE, separators, xaxis: { title: { text: t("models.epoch") }, dtick: Math.max(1, Math.ceil(epochs.length / 10)) }, yaxis: { title: { text: t("models.loss") } } },
    }),
    description: t("models.curve_says", { n: epochs.length, epoch: best[0], loss: number(best[1].validation, 4) }),
    figures: {
      caption: t("models.curve"),
      head: [t("models.epoch"), t("models.train_loss"), t("models.validation_loss")],
      rows: rows.map(([epoch, losses]) => [String(epoch), number(losses.train, 4), number(losses.validation, 4)]),
      numeric: [1, 2],
    },
  });
}

/** Follow one job in the room below the list, in the place of another one. */
export async function show(job, { focus = true } = {}) {
  following.abort();
  const mine = (following = new AbortController());
  const told = new Told();
  byId("followed").hidden = false;
  byId("followed-heading").textContent = t("models.following", { kind: t(`models.job.${job.kind}`), id: job.job_id.slice(0, 8) });
  byId("followed-status").textContent = t(`models.status.${job.status}`);
  byId("followed-progress").value = 0;
  byId("lines").replaceChildren();
  byId("curve").replaceChildren();
  if (focus) byId("followed-heading").focus();
  let due = null;
  const later = () => (due ??= setTimeout(() => ((due = null), mine.signal.aborted || drawCurve(told)), DRAWN_MS));
  await follow(
    `/train/${job.job_id}/events`,
    (event) => {
      if (mine.signal.aborted) return;
      told.take(event);
      byId("followed-progress").value = told.status?.status === "succeeded" ? 1 : told.done;
      if (event.kind === "status") byId("followed-status").textContent = told.status.failure ?? t(`models.status.${told.status.status}`);
      if (event.kind === "progress") later();
    },
    mine.signal,
  );
  if (!mine.signal.aborted) await Promise.all([showJobs(), showModels()]); // what was trained may be judged at once
}

onSubmit(byId("train"), async (fields) => {
  const body = {};
  for (const field of fields) {
    if (field.name && field.value.trim()) body[field.name] = field.type === "number" ? Number(field.value) : field.value.trim();
  }
  if (body.tickers) body.tickers = body.tickers.toUpperCase().split(/[\s,;]+/).filter(Boolean);
  await attempt(async () => {
    const job = await call("POST", "/train", { body });
    say(t("models.train_waits", { id: job.job_id.slice(0, 8) }), "good");
    await showJobs();
    attempt(() => show(job)); // as long as it runs: another one may be asked for meanwhile
  });
});
