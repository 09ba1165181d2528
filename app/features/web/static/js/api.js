// The JSON API, asked with the page's token; what it refuses is an error that can tell its reason in words.

import { accessToken, goOn } from "./session.js";
import { has, language, t } from "./words.js";

/** What an RFC 9457 problem document says. */
export class Problem extends Error {
  constructor(document, retryAfter) {
    super(document.detail ?? document.title);
    this.document = document;
    this.status = document.status;
    this.slug = (document.type ?? "").split("/").pop();
    this.retryAfter = retryAfter === null ? null : Number(retryAfter);
  }
}

/** Why it failed, for the reader. */
export function inWords(error) {
  const isOurs = error instanceof Problem && (error.slug !== "" || error.status < 500); // else a proxy's, without a word
  if (!isOurs) return t("problem.no_connection");
  if (error.slug === "invalid-request") {
    const places = error.document.errors.map((each) => `${each.location.slice(1).join(".")}: ${each.message}`);
    return `${t("problem.invalid-request")} ${places.join("; ")}`;
  }
  const key = `problem.${error.slug}`;
  if (has(key)) return t(key, { detail: error.message, seconds: error.retryAfter ?? "" });
  return language === "en" ? error.message : t("problem.other", { detail: error.message });
}

/** The problem that an answer holds. */
export async function problemOf(answer) {
  const isDocument = (answer.headers.get("content-type") ?? "").startsWith("application/problem+json");
  const document = isDocument ? await answer.json() : { status: answer.status, title: answer.statusText };
  return new Problem(document, answer.headers.get("retry-after"));
}

async function send(method, path, body, signal, given) {
  const token = await accessToken();
  const headers = token === null ? { ...given } : { ...given, Authorization: `Bearer ${token}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  return fetch(path, { method, headers, signal, body: body && JSON.stringify(body), credentials: "omit" });
}

/**
 * The API's `Response`, whatever it holds: a table to save, a stream of events.
 * Throws `Problem`, or what `fetch` throws where there is no connection.
 */
export async function ask(method, path, { body, signal, headers } = {}) {
  let answer = await send(method, path, body, signal, headers);
  if (answer.status === 401) {
    await goOn({ anyway: true }); // the token may have been stopped, or this machine's clock be wrong
    answer = await send(method, path, body, signal, headers);
  }
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

/** What the API answers in JSON, or null where it has no body; throws what `ask` throws. */
export async function call(method, path, options = {}) {
  const answer = await ask(method, path, options);
  return answer.status === 204 ? null : answer.json();
}

/** `path` with a query of those values that there are. */
export function withQuery(path, values) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value != null && value !== ""));
  return query.size ? `${path}?${query}` : path;
}

export const read = (path, values = {}, options = {}) => call("GET", withQuery(path, values), options);
