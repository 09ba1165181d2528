// What every page has: menu, theme, signing out. A page's own script imports this one.

import { byId, say } from "./dom.js";
import { inWords, problemOf } from "./api.js";
import { end, isSignedIn, onChange, ready, scopes } from "./session.js";
import { t } from "./words.js";

const A_YEAR = 365 * 86_400;
const root = document.documentElement;
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemIsDark.matches);
const nameTheme = () => (byId("theme").textContent = isDark() ? t("layout.light") : t("layout.dark")); // what a click does

byId("theme").addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  document.cookie = `closecast_theme=${root.dataset.theme}; Path=/; Max-Age=${A_YEAR}; SameSite=Lax`;
  nameTheme();
});
systemIsDark.addEventListener("change", nameTheme);
nameTheme();

byId("menu-button").addEventListener("click", ({ currentTarget }) => {
  const opens = currentTarget.getAttribute("aria-expanded") !== "true";
  currentTarget.setAttribute("aria-expanded", String(opens));
});

/** Say why the session's routes gave nothing: what they answered, or that nothing did. */
async function sayWhy(refused) {
  say(inWords(refused instanceof Response ? await problemOf(refused) : refused), "bad");
}

byId("logout").addEventListener("click", async () => {
  try {
    await end();
    location.assign("/");
  } catch (refused) {
    await sayWhy(refused);
  }
});

/** Those parts of the page that are for this reader. What they show, the API decides anew each time. */
function showWhatIsFor() {
  const audiences = { signed_in: isSignedIn(), signed_out: !isSignedIn(), admin: scopes().includes("admin") };
  for (const element of document.querySelectorAll("[data-for]")) element.hidden = !audiences[element.dataset.for];
}
ready.then(() => onChange(showWhatIsFor));

/** Where to go after signing in: this service, never another site, read as the browser will (it skips tabs, say). */
export function nextPage() {
  const next = new URLSearchParams(location.search).get("next") ?? "/";
  const address = URL.canParse(next, location.origin) ? new URL(next, location.origin) : null;
  return address?.protocol === location.protocol && address.host === location.host ? address.href : "/";
}

/**
 * Return where somebody is signed in; else lead to the login page, and never return. Where it could not be asked for,
 * the page stays and says why: its reader may be signed in, and loads it again.
 */
export async function needSession() {
  const refused = await ready;
  if (isSignedIn()) return;
  if (refused === null) location.replace(`/pages/login?next=${encodeURIComponent(location.pathname)}`);
  else await sayWhy(refused);
  await new Promise(() => {});
}
