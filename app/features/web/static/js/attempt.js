// What a page does for its reader, and what it says where that fails.

import { inWords, Problem } from "./api.js";
import { say } from "./dom.js";
import { needSession } from "./layout.js";

/** Do it, and say in words why it failed; whoever must sign in first is led there. */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Problem && error.status === 401) await needSession();
    say(inWords(error), "bad");
    return undefined;
  }
}
