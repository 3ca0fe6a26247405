import { eventsKey, jobKey } from "@quern/shared/contract/names";
import { connectRedis } from "@quern/shared/redis/connect";
import { reserveKey } from "@quern/shared/redis/idempotency";
import { createJob } from "@quern/shared/redis/job-store";
import { type Cluster, startCluster, startReadyGateway, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { callApi, endedJob, type Job } from "@quern/testing/jobs-api";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newJobId } from "../apps/gateway/src/dispatch/job-id.ts";
import { keyedRequestOf } from "../apps/gateway/src/idempotency/keyed-request.ts";
import { newJob } from "../packages/shared/src/redis/new-job.fixture.ts";

// Promise: one Idempotency-Key makes one job, whoever asks how often and whatever dies, and all get its answer.

let endless: EndlessModel;
let cluster: Cluster;
let urls: string[];
let redis: Redis;
beforeAll(async () => {
  endless = await writeEndlessModel();
  cluster = await startCluster({ workers: [{ slots: 4 }, { ...endless.worker, slots: 2 }] });
  urls = [cluster.url, await startReadyGateway(cluster)];
  redis = connectRedis(cluster.redis.url, "work", () => {});
});
afterAll(async () => {
  redis?.disconnect();
  await cluster?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
});

const SECRET_KEY = "the-key-nobody-may-log";
const chat = {
  model: "tiny-qwen3",
  messages: [{ role: "user", content: "What is the capital of France?" }],
};
const jobBody = (mark: string, body: object = chat) => ({
  endpoint: "/v1/chat/completions",
  body,
  metadata: { mark },
});

function post(url: string, path: string, key: string, body: object, signal?: AbortSignal): Promise<Response> {
  return fetch(`${url}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": key },
    body: JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
}

async function jobsMarked(mark: string): Promise<Job[]> {
  const { data } = await callApi<{ data: (Job & { metadata: Record<string, string> })[] }>(
    `${urls[1]}/v1/jobs?limit=100`,
  );
  return data.filter(({ metadata }) => metadata.mark?.startsWith(mark));
}

test.each([
  ["/v1/chat/completions", chat],
  ["/v1/chat/completions", { ...chat, stream: true }],
  ["/v1/completions", { model: "tiny-qwen3", prompt: "The capital of", max_tokens: 8 }],
  ["/v1/embeddings", { model: "tiny-qwen3", input: ["Paris"] }],
])("%s %j: the answer is repeated, from the same job, by any gateway", async (path, body) => {
  const key = `${SECRET_KEY}-${path}-${JSON.stringify(body).length}`;
  const [first, second] = [
    await post(urls[0] ?? "", path, key, body),
    await post(urls[1] ?? "", path, key, body),
  ];
  expect([first.status, second.status]).toEqual([200, 200]);
  expect(first.headers.get("idempotent-replayed")).toBeNull();
  expect(second.headers.get("idempotent-replayed")).toBe("true");
  expect(second.headers.get("x-quern-job-id")).toBe(first.headers.get("x-quern-job-id"));
  const [said, repeated] = [await first.text(), await second.text()];
  // Where a stream is cut into chunks depends on when it is read.
  if ("stream" in body) expect(contentOf(repeated)).toBe(contentOf(said));
  else expect(repeated).toBe(said);
});

function contentOf(stream: string): string {
  const lines = stream.split("\n\n").filter((line) => line.startsWith("data: {"));
  const chunks = lines.map((line) => JSON.parse(line.slice("data: ".length)));
  const content = chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? "").join("");
  expect(content).toContain("Paris");
  return content;
}

test("200 requests with one key over two gateways make one job", async () => {
  const ids = await Promise.all(
    Array.from({ length: 200 }, (_, at) =>
      until(async () => {
        const reply = await post(urls[at % 2] ?? "", "/v1/jobs", "hammer", jobBody("hammer"));
        const body = (await reply.json()) as { id: string; error?: { code: string } };
        if (reply.status === 202) return body.id;
        // 503: so many at once may take a busy machine longer than Redis is waited for.
        expect(["idempotency_in_flight", "redis_unavailable"]).toContain(body.error?.code);
        expect(reply.headers.get("retry-after")).toBe("1");
        return null;
      }),
    ),
  );
  const [id] = ids;
  expect(new Set(ids)).toEqual(new Set([id]));
  expect((await jobsMarked("hammer")).map((job) => job.id)).toEqual([id]);
});

test("the same key with another body is refused; the order of fields is none of its business", async () => {
  const [url = ""] = urls;
  const first = (await (await post(url, "/v1/jobs", "order", jobBody("order"))).json()) as Job;
  const { endpoint, ...rest } = jobBody("order");
  const again = await post(url, "/v1/jobs", "order", { ...rest, endpoint });
  expect([again.status, ((await again.json()) as Job).id]).toEqual([202, first.id]);
  const other = await post(url, "/v1/jobs", "order", jobBody("order", { ...chat, seed: 1 }));
  expect(other.status).toBe(422);
  expect(await other.json()).toMatchObject({ error: { code: "idempotency_key_reused" } });
});

test("a refused request leaves its key free", async () => {
  const [url = ""] = urls;
  const refused = await post(url, "/v1/jobs", "free", jobBody("free", { ...chat, model: "gpt-5" }));
  expect(refused.status).toBe(404);
  expect((await post(url, "/v1/jobs", "free", jobBody("free"))).status).toBe(202);
});

test("a job that is no longer kept is not run again", async () => {
  const [url = ""] = urls;
  const { id } = (await (await post(url, "/v1/jobs", "lapsed", jobBody("lapsed"))).json()) as Job;
  await endedJob(url, id);
  await redis.del(jobKey(id), eventsKey(id));
  const reply = await post(url, "/v1/jobs", "lapsed", jobBody("lapsed"));
  expect(reply.status).toBe(410);
  expect(await reply.json()).toMatchObject({ error: { code: "idempotency_key_expired" } });
});

test("a submit that broke off after the record is gone on with, as the same job", async () => {
  const body = jobBody("broken");
  const identified = { tenant: "default", method: "POST", path: "/v1/jobs", body };
  const keyed = keyedRequestOf("broken", identified);
  if (keyed === null) throw new Error("there is a key");
  // What a gateway leaves that is killed between the record and the queue; its lease has lapsed.
  const jobId = newJobId();
  await reserveKey(redis, keyed, { jobId, keptSeconds: 100, retentionSeconds: 100, leaseMs: 0 });
  await createJob(redis, newJob({ id: jobId, metadata: body.metadata, createdAtMs: Date.now() }));
  const reply = await post(urls[1] ?? "", "/v1/jobs", "broken", body);
  expect([reply.status, ((await reply.json()) as Job).id]).toEqual([202, jobId]);
  expect((await endedJob(urls[1] ?? "", jobId)).status).toBe("completed");
  expect(await jobsMarked("broken")).toHaveLength(1);
});

test("a caller that comes back with its key gets the answer it hung up on", async () => {
  const body = { model: endless.model, messages: chat.messages, max_tokens: 3_000, stream: true };
  const hangUp = new AbortController();
  const left = await post(urls[0] ?? "", "/v1/chat/completions", "back", body, hangUp.signal);
  const id = left.headers.get("x-quern-job-id");
  hangUp.abort();
  const back = await post(urls[1] ?? "", "/v1/chat/completions", "back", body);
  expect(back.headers.get("x-quern-job-id")).toBe(id);
  expect(await back.text()).toContain("data: [DONE]");
  expect(await callApi<Job>(`${urls[1]}/v1/jobs/${id}`)).toMatchObject({
    status: "completed",
    usage: { completion_tokens: 3_000 },
  });
});

test("a gateway that is killed in the middle of it makes no second job", async () => {
  const keys = Array.from({ length: 40 }, (_, at) => `killed-${at}`);
  const url = await startReadyGateway(cluster);
  const asked = keys.map((key) => post(url, "/v1/jobs", key, jobBody(key)).catch(() => null));
  await Promise.race(asked);
  await cluster.gateways.at(-1)?.kill("SIGKILL");
  await Promise.all(asked);
  const ids = await Promise.all(
    keys.map((key) =>
      until(async () => {
        const reply = await post(urls[1] ?? "", "/v1/jobs", key, jobBody(key));
        return reply.status === 202 ? ((await reply.json()) as Job).id : null;
      }),
    ),
  );
  expect((await jobsMarked("killed-")).map(({ id }) => id).sort()).toEqual(ids.sort());
  for (const id of ids) expect((await endedJob(urls[1] ?? "", id)).status).toBe("completed");
});

test("keys and bodies are in no log", () => {
  const logs = [...cluster.gateways, ...cluster.workers].map((process) => process.output()).join("");
  expect(logs).toContain("/v1/chat/completions");
  expect(logs).not.toContain(SECRET_KEY);
  expect(logs).not.toContain("capital of");
});
