// What every page has: menu, theme, signing out. A page's own script imports this one.

import { byId, say } from "./dom.js";
import { inWords, problemOf } from "./api.js";
import { end, isSignedIn, onChange, ready, scopes } from "./session.js";

const A_YEAR = 365 * 86_400;
const root = document.documentElement;
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemIsDark.matches);
const tellTheme = () => byId("theme").setAttribute("aria-pressed", String(isDark()));

byId("theme").addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  document.cookie = `closecast_theme=${root.dataset.theme}; Path=/; Max-Age=${A_YEAR}; SameSite=Lax`;
  tellTheme();
});
systemIsDark.addEventListener("change", tellTheme);
tellTheme();

byId("menu-button").addEventListener("click", ({ currentTarget }) => {
  const opens = currentTarget.getAttribute("aria-expanded") !== "true";
  currentTarget.setAttribute("aria-expanded", String(opens));
});

byId("logout").addEventListener("click", async () => {
  try {
    await end();
    location.assign("/");
  } catch (error) {
    say(inWords(error instanceof Response ? await problemOf(error) : error), "bad");
  }
});

/** Those parts of the page that are for this reader. What they show, the API decides anew each time. */
function showWhatIsFor() {
  const audiences = { signed_in: isSignedIn(), signed_out: !isSignedIn(), admin: scopes().includes("admin") };
  for (const element of document.querySelectorAll("[data-for]")) element.hidden = !audiences[element.dataset.for];
}
ready.then(() => onChange(showWhatIsFor));

/** Where to go after signing in: a path of this service, never another site's. */
export function nextPage() {
  const next = new URLSearchParams(location.search).get("next") ?? "/";
  return /^\/(?![/\\])/.test(next) ? next : "/";
}

/** Return where somebody is signed in; else lead to the login page, and never return. */
export async function needSession() {
  await ready;
  if (isSignedIn()) return;
  location.replace(`/pages/login?next=${encodeURIComponent(location.pathname)}`);
  await new Promise(() => {});
}
