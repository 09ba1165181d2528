import { read } from "../api.js";
import { attempt } from "../attempt.js";
import { byId, h } from "../dom.js";
import "../layout.js";
import "../search.js";
import { isSignedIn, ready } from "../session.js";
import { t } from "../words.js";

const SHOWN = 50;

async function showStored() {
  const { items } = await read("/tickers", { limit: SHOWN });
  const links = items.map(({ ticker }) => h("li", {}, h("a", { class: "chip", href: `/pages/tickers/${ticker}` }, ticker)));
  byId("stored-tickers").replaceChildren(links.length ? h("ul", { class: "chips" }, ...links) : h("p", {}, t("start.nothing_stored")));
}

await ready;
if (isSignedIn()) await attempt(showStored);
