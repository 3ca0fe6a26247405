import { type Cluster, startCluster, startReadyGateway, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { callApi, endedJob, type Job, readSse, submitJob } from "@quern/testing/jobs-api";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: a gateway that is told to stop says so at once, finishes what it does, cancels nothing, and ends by itself.

let endless: EndlessModel;
let cluster: Cluster;
beforeAll(async () => {
  endless = await writeEndlessModel();
  cluster = await startCluster({ workers: [{ ...endless.worker, slots: 4 }] });
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
});

const tale = (changes: object = {}) => ({
  model: endless.model,
  messages: [{ role: "user", content: "Tell me a tale." }],
  ...changes,
});

function ask(url: string, path: string, body: object): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return fetch(`${url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
}

test("with streams open it is not ready, takes no more jobs, and lets the streams go politely", async () => {
  const url = await startReadyGateway(cluster);
  const gateway = cluster.gateways.at(-1);
  const { id } = await submitJob(url, tale());
  const events = readSse(await fetch(`${url}/v1/jobs/${id}/events`));
  const chat = await ask(url, "/v1/chat/completions", tale({ stream: true }));
  const chunks = readSse(chat);
  await Promise.all([events.next(), chunks.next()]);

  const ended = gateway?.kill("SIGTERM");
  const notReady = await until(async () => {
    const reply = await fetch(`${url}/readyz`);
    return reply.status === 503 ? reply : null;
  });
  expect(await notReady.json()).toEqual({ status: "not_ready", reasons: ["draining"] });
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  const refused = await ask(url, "/v1/jobs", { endpoint: "/v1/chat/completions", body: tale() });
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
  // A client that keeps its connection would meet this gateway again.
  expect(refused.headers.get("connection")).toBe("close");
  expect(await refused.json()).toMatchObject({ error: { code: "draining" } });
  // What can be read here still can.
  expect((await callApi<Job>(`${url}/v1/jobs/${id}`)).status).toBe("running");

  const told = (await Array.fromAsync(chunks)).map(({ data }) => data);
  expect(told.at(-1)).toBe("[DONE]");
  expect(told.at(-2)).toContain('"draining"');
  await Array.fromAsync(events);
  expect(await ended).toBe(0);

  // Neither job noticed.
  for (const job of [id, chat.headers.get("x-quern-job-id")]) {
    expect((await callApi<Job>(`${cluster.url}/v1/jobs/${job}`)).status).toBe("running");
    await callApi(`${cluster.url}/v1/jobs/${job}/cancel`, { method: "POST" });
  }
});

test("what runs is finished, and then it ends", async () => {
  const url = await startReadyGateway(cluster);
  const gateway = cluster.gateways.at(-1);
  const answer = await ask(url, "/v1/chat/completions", tale({ stream: true, max_tokens: 300 }));
  const ended = gateway?.kill("SIGTERM");
  const told = (await Array.fromAsync(readSse(answer))).map(({ data }) => data);
  expect(told.at(-1)).toBe("[DONE]");
  expect(told.at(-2)).toContain('"finish_reason":"length"');
  expect(await ended).toBe(0);
});

test("with nothing to do it ends at once", async () => {
  await startReadyGateway(cluster);
  expect(await cluster.gateways.at(-1)?.kill("SIGTERM")).toBe(0);
  expect(
    (await endedJob(cluster.url, (await submitJob(cluster.url, tale({ max_tokens: 3 }))).id)).status,
  ).toBe("completed");
});
