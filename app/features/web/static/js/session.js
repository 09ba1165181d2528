// Who is signed in. The access token lives in this module's memory alone; the refresh token in a cookie that no script
// can read. One refresh at a time runs in all tabs together: of two at once, the later would look like a thief's.

const LOCK = "closecast-session";
const EARLY_SECONDS = 60; // before it expires: a request takes time, and clocks differ
const MOST_SECONDS = 2 ** 31 / 1000 - 1; // a longer timer would fire at once

const otherTabs = new BroadcastChannel(LOCK);
const listeners = new Set();
let held = null; // {token, scopes, refreshAt}
let timer;

/** The session routes' answer, or a thrown `Response` that says no. */
async function ask(path, body) {
  const answer = await fetch(`/pages/session/${path}`, {
    method: "POST",
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body && JSON.stringify(body),
    keepalive: true, // a new refresh token is not lost where the page is left meanwhile
  });
  if (!answer.ok) throw answer;
  return answer.status === 204 ? null : answer.json();
}

function hold(session) {
  clearTimeout(timer);
  held = null;
  if (session) {
    const seconds = Math.max(1, session.expires_in - EARLY_SECONDS);
    held = { token: session.access_token, scopes: session.scope.split(" "), refreshAt: Date.now() + 1000 * seconds };
    timer = setTimeout(() => goOn().catch(() => {}), 1000 * Math.min(seconds, MOST_SECONDS));
  }
  for (const listener of listeners) listener(held !== null);
}

const isFresh = () => held !== null && Date.now() < held.refreshAt;

// Web Locks exist where the cookie does: over TLS, and on localhost.
const oneAtATime = (work) => (navigator.locks ? navigator.locks.request(LOCK, work) : work());

/** Refresh; nobody is signed in afterwards where the cookie is absent or good for nothing any more. */
export async function goOn({ anyway = false } = {}) {
  const before = held;
  await oneAtATime(async () => {
    if (held !== before || (isFresh() && !anyway)) return; // it was done while this one waited
    try {
      hold(await ask("refresh"));
    } catch (refused) {
      if (!(refused instanceof Response)) throw refused; // no connection: what is held may still be good
      if (refused.status !== 401) throw refused;
      hold(null);
    }
  });
}

/** Sign in; throws the `Response` that says no. */
export async function begin(email, password) {
  await oneAtATime(async () => hold(await ask("login", { email, password })));
  otherTabs.postMessage("begun");
}

/** Sign out, here and in every tab. */
export async function end() {
  await oneAtATime(() => ask("logout"));
  hold(null);
  otherTabs.postMessage("ended");
}

/** The access token, refreshed where it is about to expire; null where nobody is signed in. */
export async function accessToken() {
  await ready;
  if (held !== null && !isFresh()) await goOn();
  return held?.token ?? null;
}

export const isSignedIn = () => held !== null;
export const scopes = () => held?.scopes ?? [];

/** Call `listener` with whether somebody is signed in, now and whenever that changes. */
export function onChange(listener) {
  listeners.add(listener);
  listener(isSignedIn());
}

otherTabs.addEventListener("message", ({ data }) => {
  if (data === "ended" && held !== null) location.reload(); // what this tab shows is somebody's no longer signed in
  if (data === "begun" && held === null) goOn().catch(() => {});
});
// A tab that slept past its timer, or comes back out of the browser's cache, asks anew.
addEventListener("pageshow", ({ persisted }) => persisted && location.reload());

/** Settled when it is known whether somebody is signed in: null, or why that could not be asked for. */
export const ready = goOn().then(
  () => null,
  (why) => why,
);
