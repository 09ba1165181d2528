// Asking for a forecast of a ticker whose bars may have to be collected first, with what the reader sees meanwhile.

import { Problem, read } from "../api.js";
import { byId } from "../dom.js";
import { t } from "../words.js";

const SHOWN_AFTER_MS = 600; // a stored ticker answers sooner, and nothing flickers
const PENDING = new Set(["collection-pending", "stale-bars"]); // repeat, says the API, after so many seconds

const pause = (seconds, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });

/** The forecast; throws `Problem`, or an AbortError where the reader stops it. */
export async function forecastOf(ticker, wish) {
  const stop = new AbortController();
  const started = Date.now();
  const tell = () => {
    const seconds = Math.floor((Date.now() - started) / 1000);
    byId("collecting").hidden = false;
    byId("collecting-seconds").textContent = t("ticker.collecting_seconds", { seconds });
  };
  byId("collecting-text").textContent = t("ticker.collecting_text", { ticker });
  byId("stop-collecting").onclick = () => stop.abort();
  const first = setTimeout(tell, SHOWN_AFTER_MS);
  const every = setInterval(tell, 1000);
  try {
    return await untilThere(ticker, wish, stop.signal);
  } finally {
    clearTimeout(first);
    clearInterval(every);
    byId("collecting").hidden = true;
  }
}

async function untilThere(ticker, wish, signal) {
  for (;;) {
    try {
      return await read(`/predict/${encodeURIComponent(ticker)}`, wish, { signal });
    } catch (error) {
      if (!(error instanceof Problem) || !PENDING.has(error.slug)) throw error;
      await pause(error.retryAfter ?? 1, signal);
    }
  }
}
