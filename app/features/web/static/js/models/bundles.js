// Bundles beside the naive, who is champion by whose decision, and the two ways to another champion.

import { call, read } from "../api.js";
import { attempt } from "../attempt.js";
import { byId, facts, h, say, table } from "../dom.js";
import { sure } from "../sure.js";
import { instant, number, percent, t, within } from "../words.js";

const LOOK_MS = 2_000; // how often a judgement is asked after
const LIMIT = 50;
const FIGURES = ["horizon", "pinball", "naive_pinball", "relative_mae", "pinball_skill", "label", "coverage", "naive_coverage"];

export const short = (bundle) => bundle.slice(0, 12);
const code = (bundle) => h("span", { class: "code", title: bundle }, short(bundle));

function figureRow(each) {
  return [
    t("models.days", { n: each.horizon }),
    number(each.pinball, 5),
    number(each.naive_pinball, 5),
    number(each.relative_mae, 3),
    within(each.pinball_skill, each.skill_interval, (value) => percent(value, 2)),
    t(`skill_short.${each.label}`),
    percent(each.coverage["0.8"]),
    percent(each.naive_coverage["0.8"]),
  ];
}

function figures(caption, rows) {
  if (rows.length === 0) return h("p", { class: "muted" }, t("models.no_figures"));
  return table(caption, FIGURES.map((name) => t(`models.figure.${name}`)), rows.map(figureRow), { numeric: [1, 2, 3, 4, 6, 7] });
}

async function showServed() {
  const info = await read("/model/info");
  facts(byId("served"), [
    [t("models.bundle"), code(info.version)],
    [t("models.kind"), t(`models.kind.${info.kind}`)],
    [t("models.by"), t(`models.way.${info.promotion}`)],
    [t("models.since"), instant(info.promoted_at)],
    [t("models.age"), `${t("models.days", { n: info.age })}${info.past_max_age ? ` – ${t("models.too_old")}` : ""}`],
  ]);
  byId("served-figures").replaceChildren(figures(t("models.served_figures"), info.figures));
}

function bundleRow(each, champion) {
  const first = each.figures.find(({ horizon }) => horizon === 1);
  const button = h("button", { type: "button", class: "plain", "aria-label": t("models.promote_named", { bundle: short(each.id) }), onclick: () => promote(each.id, champion) }, t("models.promote"));
  return [
    code(each.id),
    t(`models.kind.${each.kind}`),
    instant(each.created_at),
    first ? number(first.pinball, 5) : t("none"),
    first ? number(first.naive_pinball, 5) : t("none"),
    first ? percent(first.pinball_skill, 2) : t("none"),
    first ? t(`skill_short.${first.label}`) : t("none"),
    each.id === champion ? t("models.is_champion") : button,
  ];
}

async function showBundles(champion) {
  const bundles = await read("/models", { limit: LIMIT });
  const head = ["bundle", "kind", "made", "pinball", "naive_pinball", "pinball_skill", "label", "promote"].map((name) => t(`models.head.${name}`));
  byId("bundles").replaceChildren(table(t("models.bundles_caption"), head, bundles.map((each) => bundleRow(each, champion)), { numeric: [3, 4, 5] }));
}

const reasons = (verdict) => (verdict.reasons?.length ? verdict.reasons.map((reason) => t(`models.reason.${reason}`)).join("; ") : t("none"));

async function showDecisions() {
  const { items } = await read("/challenges", { limit: LIMIT });
  const head = ["decided", "bundle", "champion", "outcome", "number", "p_value", "reasons"].map((name) => t(`models.head.${name}`));
  const rows = items.map((each) => [
    instant(each.decided_at),
    code(each.bundle_id),
    code(each.champion_id),
    t(`models.outcome.${each.passed ? "passed" : "refused"}`),
    each.test_number === null ? t("none") : number(each.test_number, 0),
    number(each.p_value, 4),
    reasons(each.verdict),
  ]);
  byId("decisions").replaceChildren(rows.length ? table(t("models.decisions"), head, rows, { numeric: [4, 5] }) : h("p", {}, t("models.no_decisions")));
}

async function showLedger() {
  const { items } = await read("/promotions", { limit: LIMIT });
  const head = ["decided", "bundle", "before", "way", "by", "why"].map((name) => t(`models.head.${name}`));
  const rows = items.map((each) => [
    instant(each.decided_at),
    code(each.bundle_id),
    each.previous_bundle_id === null ? t("none") : code(each.previous_bundle_id),
    t(`models.way.${each.kind}`),
    each.decided_by,
    each.reason ?? t("none"),
  ]);
  byId("ledger").replaceChildren(table(t("models.ledger"), head, rows));
  return items[0]?.bundle_id;
}

/** All that a decision changes. */
export async function showModels() {
  const champion = await showLedger();
  await Promise.all([showServed(), showBundles(champion), showDecisions()]);
}

async function promote(bundle, champion) {
  const places = { bundle: short(bundle), champion: short(champion) };
  const answer = await sure({ heading: t("models.promote_heading", places), text: t("models.promote_text", places), yes: t("models.promote_yes") });
  if (answer !== null) await attempt(async () => judged(await call("POST", `/models/${bundle}/promote`)));
}

function tellJudging(text, kind = "") {
  byId("judging").replaceChildren(h("p", { class: `notice ${kind}` }, text));
}

/** Tell how the gate's judgement stands until there is one. */
async function judged(challenge) {
  const bundle = short(challenge.bundle_id);
  let state = challenge;
  for (let told; state.status === "waiting" || state.status === "judging"; state = await read(`/challenges/${challenge.id}`)) {
    if (told !== state.status) tellJudging(t(`models.judging.${(told = state.status)}`, { bundle }));
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  const why = state.decision === null ? "" : reasons(state.decision.verdict);
  tellJudging(t(`models.judging.${state.status}`, { bundle, why }), state.status === "passed" ? "good" : "bad");
  await showModels();
}

async function rollBack() {
  const would = await read("/models/rollback");
  const places = { bundle: short(would.bundle_id), champion: short(would.previous_bundle_id) };
  const reason = await sure({ heading: t("models.roll_back_heading"), text: t("models.roll_back_text", places), yes: t("models.roll_back_yes", places), askReason: true });
  if (reason === null) return;
  const line = await call("POST", "/models/rollback", { body: reason ? { reason } : {} });
  say(t("models.rolled_back", { bundle: short(line.bundle_id) }), "good");
  await showModels();
}

byId("roll-back").addEventListener("click", () => attempt(rollBack));
