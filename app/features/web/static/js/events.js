// Server-sent events over fetch: an EventSource could not send the page's token (HTML, section 9.2.6).

import { ask, Problem } from "./api.js";

const PAUSE_MS = 2_000; // before asking again, where the stream broke off or its five minutes were over
const NO_CONTENT = 204; // it has ended, and nothing happened since

/** Each event as {id, kind, data} from `stream`, in its order. */
async function* eventsIn(stream) {
  let rest = "";
  for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + piece).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const fields = Object.fromEntries(part.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
      if ("data" in fields) yield { id: Number(fields.id), kind: fields.event, data: JSON.parse(fields.data) };
    }
  }
}

/** Call `tell` with every event of `path`, from the first one on, until it has ended or `signal` says so. */
export async function follow(path, tell, signal) {
  let last = 0;
  while (!signal.aborted) {
    try {
      const answer = await ask("GET", path, { headers: { "Last-Event-ID": String(last) }, signal });
      if (answer.status === NO_CONTENT) return;
      for await (const event of eventsIn(answer.body)) {
        last = event.id;
        tell(event);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem && error.status < 500 && error.status !== 429) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
