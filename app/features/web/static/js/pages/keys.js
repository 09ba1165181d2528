import { call, read } from "../api.js";
import { attempt } from "../attempt.js";
import { byId, h, onSubmit, say, table } from "../dom.js";
import { needSession } from "../layout.js";
import { scopes } from "../session.js";
import { instant, t } from "../words.js";

const EXAMPLE = "PETR4.SA"; // where nothing is stored yet: it is collected

/** Show a key and a command with it, until the reader hides it or leaves the page. */
async function showNewKey(key) {
  const { items } = await read("/tickers", { limit: 1 });
  const ticker = items[0]?.ticker ?? EXAMPLE;
  byId("key-text").value = key;
  byId("curl-text").value = `curl -H 'X-API-Key: ${key}' '${location.origin}/predict/${ticker}'`;
  byId("new-key").hidden = false;
  byId("new-key-heading").focus();
}

function hideNewKey() {
  byId("key-text").value = byId("curl-text").value = "";
  byId("new-key").hidden = true;
  byId("key-name").focus();
}

async function copy(field) {
  await navigator.clipboard.writeText(field.value);
  say(t("keys.copied"), "good");
}

async function revoke({ id, name }) {
  if (!confirm(t("keys.revoke_ask", { name }))) return;
  await attempt(async () => {
    await call("DELETE", `/auth/api-keys/${id}`);
    await showKeys();
    say(t("keys.revoked", { name }), "good");
  });
}

function row(key) {
  const button = h("button", { type: "button", class: "danger", "aria-label": t("keys.revoke_named", { name: key.name }), onclick: () => revoke(key) }, t("keys.revoke"));
  return [
    key.name,
    h("span", { class: "code" }, key.prefix),
    key.scopes.map((scope) => t(`scope.${scope}`)).join(", "),
    instant(key.created_at),
    key.expires_at ? instant(key.expires_at) : t("keys.until_revoked"),
    key.last_used_at ? instant(key.last_used_at) : t("keys.never"),
    key.revoked_at ? `${t("keys.revoked_at")} ${instant(key.revoked_at)}` : button,
  ];
}

async function showKeys() {
  const found = [];
  let cursor = null;
  do {
    const page = await read("/auth/api-keys", { cursor, limit: 200 });
    found.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null);
  const head = ["name", "prefix", "scopes", "created", "ends", "last_used", "revoke"].map((name) => t(`keys.${name}`));
  byId("keys").replaceChildren(found.length ? table(t("keys.list"), head, found.map(row)) : h("p", {}, t("keys.no_keys")));
}

onSubmit(byId("make"), async ({ name, days }) => {
  const wanted = [...document.querySelectorAll("#key-scopes input:checked")].map((box) => box.value);
  await attempt(async () => {
    const body = { name: name.value, scopes: wanted, expires_in_days: days.value ? Number(days.value) : null };
    const made = await call("POST", "/auth/api-keys", { body });
    say("");
    name.value = "";
    await showNewKey(made.key);
    await showKeys();
  });
});
byId("copy-key").addEventListener("click", () => copy(byId("key-text")));
byId("copy-curl").addEventListener("click", () => copy(byId("curl-text")));
byId("hide-key").addEventListener("click", hideNewKey);

await needSession();
byId("key-scopes").append(
  ...scopes().map((scope) =>
    h("label", {}, h("input", { type: "checkbox", value: scope, checked: scope === "predict" }), t(`scope.${scope}`)),
  ),
);
await attempt(showKeys);
