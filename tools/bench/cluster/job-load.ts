import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { RandomSource } from "@quern/testing/gguf/random-source";
import { callApi, type Job } from "@quern/testing/jobs-api";

/** Where the jobs of a measurement go. */
export interface JobTarget {
  url: string;
  model: string;
  stop: AbortSignal;
}

const TALE = [{ role: "user", content: "Tell me a tale." }];

function submit(
  { url, model }: JobTarget,
  jobClass: "interactive" | "batch",
  maxTokens: number,
): Promise<Job> {
  const body = { model, messages: TALE, max_tokens: maxTokens };
  const job = { endpoint: "/v1/chat/completions", class: jobClass, body };
  return callApi<Job>(`${url}/v1/jobs`, { body: job, status: 202 });
}

async function ended({ url, stop }: JobTarget, id: string): Promise<Job> {
  for (;;) {
    stop.throwIfAborted();
    const job = await callApi<Job>(`${url}/v1/jobs/${id}?wait=30`);
    if (job.status !== "queued" && job.status !== "running") return job;
  }
}

/**
 * Keeps as many batch jobs in the queue and in slots as there are lanes, until `finished`; what is left then is cancelled.
 *
 * @returns the completion tokens of all that ended before.
 */
export async function saturate(
  target: JobTarget,
  { lanes, tokens }: { lanes: number; tokens: number },
  finished: AbortSignal,
): Promise<number> {
  let done = 0;
  const running = new Set<string>();
  const lane = async () => {
    while (!finished.aborted) {
      const { id } = await submit(target, "batch", tokens);
      running.add(id);
      const { status, usage } = await ended(target, id);
      running.delete(id);
      if (status === "completed" && !finished.aborted) done += usage?.completion_tokens ?? 0;
    }
  };
  const cancelRest = async () => {
    for (const id of running) await callApi(`${target.url}/v1/jobs/${id}/cancel`, { method: "POST" });
  };
  const rest = once(finished, "abort").then(cancelRest);
  await Promise.all([rest, ...Array.from({ length: lanes }, lane)]);
  return done;
}

/**
 * Interactive jobs that arrive by themselves, whatever becomes of those before: gaps are exponential, as of many
 * callers who know nothing of each other.
 *
 * @returns their ids, when all have ended.
 */
export async function arrive(
  target: JobTarget,
  {
    requests,
    meanGapMs,
    tokens,
    seed,
  }: { requests: number; meanGapMs: number; tokens: number; seed: number },
): Promise<string[]> {
  const random = new RandomSource(seed);
  const ids: Promise<string>[] = [];
  for (let arrival = 0; arrival < requests; arrival++) {
    await sleep(-Math.log((random.uint32() + 1) / 2 ** 32) * meanGapMs, undefined, { signal: target.stop });
    ids.push(
      submit(target, "interactive", tokens).then(async ({ id }) => {
        await ended(target, id);
        return id;
      }),
    );
  }
  return Promise.all(ids);
}
