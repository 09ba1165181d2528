// Bundles, decisions, jobs and drift, for administrators.

import { needAdmin } from "../admins.js";
import { attempt } from "../attempt.js";
import { showModels } from "../models/bundles.js";
import { showDrift } from "../models/drift.js";
import { show, showJobs } from "../models/jobs.js";

async function showAll() {
  const [, jobs] = await Promise.all([showModels(), showJobs(), showDrift()]);
  const running = jobs.find((job) => job.status === "running") ?? jobs.find((job) => job.status === "queued");
  if (running) await show(running, { focus: false }); // as long as it runs
}

await needAdmin();
await attempt(showAll);
