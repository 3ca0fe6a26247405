import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { callApi, endedJob, type Job, submitJob } from "@quern/testing/jobs-api";
import { afterAll, beforeAll, expect, test } from "vitest";
import { blocksOf, untilCut } from "./chaos/load/cut-stream.ts";
import { Random } from "./chaos/random.ts";

// Promise: a stream that is cut anywhere, and whose worker is killed meanwhile, is the same as one that never was.

const CUTS = 100;
const MAX_TOKENS = 5_000;
const SEED = 20_260;

let endless: EndlessModel;
let cluster: Cluster;
beforeAll(async () => {
  endless = await writeEndlessModel();
  const env = { ...endless.worker.env, QUERN_LEASE_SECONDS: "2" };
  cluster = await startCluster({ workers: [{ ...endless.worker, slots: 1, env }] });
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
});

interface Seen {
  id: string;
  line: string;
}

/** Reads on after what was seen, up to a cut. */
async function readOn(jobId: string, seen: Seen[], cutAfterBytes: number | null): Promise<void> {
  const last = seen.at(-1)?.id;
  const headers = last === undefined ? {} : { "last-event-id": last };
  const reply = await fetch(`${cluster.url}/v1/jobs/${jobId}/events`, { headers });
  if (reply.status === 204) return;
  expect(reply.status).toBe(200);
  for await (const fields of blocksOf(untilCut(reply, cutAfterBytes))) {
    seen.push({ id: fields.get("id") ?? "", line: `${fields.get("event")} ${fields.get("data")}` });
  }
}

test(`cut at ${CUTS} offsets over two attempts, live and afterwards`, async () => {
  const random = new Random(SEED);
  const { url } = cluster;
  const { id } = await submitJob(url, {
    model: endless.model,
    messages: [{ role: "user", content: "Tell me a tale." }],
    max_tokens: MAX_TOKENS,
  });
  const live: Seen[] = [];
  const reading = (async () => {
    // One event may be larger than any cut: then only a reader that is not cut again gets on.
    for (let cuts = 0; !live.at(-1)?.line.startsWith("end "); cuts++) {
      await readOn(id, live, cuts < CUTS ? random.between(1, 3_000) : null);
    }
  })();
  await until(async () => live.length > 5);
  await cluster.workers[0]?.kill("SIGKILL");
  await cluster.startWorker(endless.worker);
  await reading;

  const job = await endedJob(url, id);
  expect(job).toMatchObject({ status: "completed", attempt: 2, usage: { completion_tokens: MAX_TOKENS } });
  const whole: Seen[] = [];
  await readOn(id, whole, null);
  expect(live).toEqual(whole);
  const text = whole.map(
    ({ line }) => (JSON.parse(line.slice(line.indexOf(" "))) as { text?: string }).text ?? "",
  );
  expect(text.join("")).toBe(job.response?.body.choices[0]?.message.content);
  expect(new Set(whole.map(({ id: eventId }) => eventId.split("-")[0]))).toEqual(new Set(["1", "2"]));

  const bytes = (await (await fetch(`${url}/v1/jobs/${id}/events`)).arrayBuffer()).byteLength;
  for (let cut = 0; cut < CUTS; cut++) {
    const pieces: Seen[] = [];
    await readOn(id, pieces, random.between(1, bytes - 1));
    await readOn(id, pieces, null);
    expect(pieces).toEqual(whole);
  }
  // The job is asked for as it is listed: once.
  const { data } = await callApi<{ data: Job[] }>(`${url}/v1/jobs`);
  expect(data.map((listed) => listed.id)).toEqual([id]);
});
