// The search box: a combobox with a list (ARIA Authoring Practices) over the tickers that are stored. Whatever else is
// typed can be asked for too: the ticker's page then has it collected.

import { read } from "./api.js";
import { byId, h, onSubmit } from "./dom.js";
import { isSignedIn } from "./session.js";
import { t } from "./words.js";

const SHOWN = 8;
const PAUSE_MS = 120;
const POSSIBLE = /^[A-Z0-9.=^-]{1,20}$/;

const input = byId("ticker-input");
const list = byId("ticker-options");
let chosen = -1;
let asked = 0; // an answer that a later one overtook is dropped
let timer;

const options = () => [...list.children];
const typed = () => input.value.trim().toUpperCase();

function open(ticker) {
  if (ticker) location.assign(`/pages/tickers/${encodeURIComponent(ticker)}`);
}

function close() {
  clearTimeout(timer);
  asked += 1;
  list.hidden = true;
  list.replaceChildren();
  choose(-1);
  input.setAttribute("aria-expanded", "false");
}

function choose(index) {
  chosen = index;
  for (const [each, option] of options().entries()) option.setAttribute("aria-selected", String(each === index));
  if (index < 0) input.removeAttribute("aria-activedescendant");
  else input.setAttribute("aria-activedescendant", options()[index].id);
  options()[index]?.scrollIntoView({ block: "nearest" });
}

function show(tickers) {
  list.replaceChildren(
    ...tickers.map((each, index) =>
      h(
        "li",
        { id: `ticker-option-${index}`, role: "option", "aria-selected": "false", onpointerdown: (event) => event.preventDefault(), onclick: () => open(each.ticker) },
        h("span", {}, each.ticker),
        h("span", { class: "muted" }, each.exchange),
      ),
    ),
  );
  list.hidden = tickers.length === 0;
  input.setAttribute("aria-expanded", String(tickers.length > 0));
  byId("ticker-count").textContent = t("search.found", { n: tickers.length });
  choose(-1);
}

async function complete() {
  const beginning = typed();
  const mine = (asked += 1);
  if (!isSignedIn() || !POSSIBLE.test(beginning)) return close();
  try {
    const { items } = await read("/tickers", { starts_with: beginning, limit: SHOWN });
    if (mine === asked) show(items);
  } catch {
    if (mine === asked) close(); // without completion the box is still a box
  }
}

input.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(complete, PAUSE_MS);
});
input.addEventListener("keydown", (event) => {
  const last = options().length - 1;
  if (event.key === "Escape") close();
  else if (event.key === "ArrowDown" && last >= 0) choose(chosen < last ? chosen + 1 : 0);
  else if (event.key === "ArrowDown") complete();
  else if (event.key === "ArrowUp" && last >= 0) choose(chosen > 0 ? chosen - 1 : last);
  else return;
  event.preventDefault();
});
input.addEventListener("blur", close);
onSubmit(byId("search"), () => {
  open(chosen >= 0 ? options()[chosen].firstChild.textContent : typed());
});
