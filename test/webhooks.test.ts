import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { callApi, endedJob, type Job } from "@quern/testing/jobs-api";
import { answering, startWebhookSink, type WebhookSink } from "@quern/testing/webhook-sink";
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

// Promise: who asked to be told of a job's end is told, signed, and once as far as ids go, whatever dies meanwhile.

const secret = `whsec_${Buffer.alloc(32, 1).toString("base64")}`;
const chat = {
  model: "tiny-qwen3",
  messages: [{ role: "user", content: "What is the capital of France?" }],
};

let cluster: Cluster;
let sinks: WebhookSink[] = [];
beforeAll(async () => {
  cluster = await startCluster({ env: { QUERN_WEBHOOK_ALLOW_PRIVATE: "true" } });
});
afterEach(async () => {
  await Promise.all(sinks.map((sink) => sink[Symbol.asyncDispose]()));
  sinks = [];
});
afterAll(() => cluster?.[Symbol.asyncDispose]());

async function sink(...answer: Parameters<typeof startWebhookSink>): Promise<WebhookSink> {
  const started = await startWebhookSink(...answer);
  sinks.push(started);
  return started;
}

type HookedJob = Job & { webhook: { url: string; status: string; attempts: number } | null };

function submit(webhook: object, body: object = chat): Promise<HookedJob> {
  const request = { endpoint: "/v1/chat/completions", body, metadata: { order: "7" }, webhook };
  return callApi<HookedJob>(`${cluster.url}/v1/jobs`, { body: request, status: 202 });
}

const read = (id: string) => callApi<HookedJob>(`${cluster.url}/v1/jobs/${id}`);

function told(id: string): Promise<HookedJob> {
  return until(async () => {
    const job = await read(id);
    return job.webhook?.status === "pending" ? null : job;
  });
}

test("a job's end is told with its answer; neither job nor log shows the secret", async () => {
  const receiver = await sink(answering(() => 200));
  const job = await submit({ url: receiver.url, secret });
  expect(job.webhook).toMatchObject({ url: receiver.url, status: "pending", attempts: 0 });
  const [{ headers, body } = { headers: {}, body: "" }] = await receiver.count(1);
  const message = new Webhook(secret).verify(body, headers as Record<string, string>) as { data: Job };
  expect(message).toMatchObject({ type: "job.completed", data: { id: job.id, metadata: { order: "7" } } });
  expect(message.data.response?.body.choices[0]?.message.content).toContain("Paris");
  const end = await told(job.id);
  expect(end.webhook).toEqual({
    url: receiver.url,
    status: "delivered",
    attempts: 1,
    last_status_code: 200,
    last_error: null,
  });
  const { gateways, workers, schedulers } = cluster;
  const logs = [...gateways, ...workers, ...schedulers].map((one) => one.output()).join("");
  expect(logs).toContain(job.id);
  expect(`${logs}${JSON.stringify(end)}`).not.toContain(secret.slice(6, 20));
});

test("a webhook at fault is refused before anything is queued", async () => {
  const refused = (webhook: object) => {
    const request = { endpoint: "/v1/chat/completions", body: chat, webhook };
    return callApi<{ error: { param: string } }>(`${cluster.url}/v1/jobs`, { body: request, status: 400 });
  };
  expect(await refused({ url: "ftp://example.com", secret })).toMatchObject({
    error: { param: "webhook.url" },
  });
  expect(await refused({ url: "https://example.com" })).toMatchObject({ error: { param: "webhook.secret" } });
});

test("a scheduler that is killed in the middle of a delivery leaves it to the next", async () => {
  // The first attempt is never answered.
  const receiver = await sink((response, number) => void (number === 1 || response.writeHead(200).end()));
  const job = await submit({ url: receiver.url, secret });
  await receiver.count(1);
  expect((await endedJob(cluster.url, job.id)).status).toBe("completed");
  await cluster.startScheduler();
  await Promise.all(cluster.schedulers.slice(0, 1).map((one) => one.kill("SIGKILL")));

  const end = await told(job.id);
  expect(end.webhook).toMatchObject({ status: "delivered" });
  expect(receiver.received).toHaveLength(2);
  const messages = receiver.received.map(({ headers, body }) => {
    new Webhook(secret).verify(body, headers as Record<string, string>);
    return [headers["webhook-id"], body];
  });
  expect(messages[0]).toEqual(messages[1]);
});
