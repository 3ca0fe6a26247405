import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { callApi, endedJob, type Job, readSse, type SseEvent, submitJob } from "@quern/testing/jobs-api";
import { afterAll, beforeAll, expect, test } from "vitest";

// Promise: the events of a job concatenate to its result, from any point and to anyone, and a cancelled job stops.

let endless: EndlessModel;
let cluster: Cluster;
beforeAll(async () => {
  endless = await writeEndlessModel();
  cluster = await startCluster({ workers: [{ slots: 4 }, { ...endless.worker, slots: 2 }] });
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  await endless?.[Symbol.asyncDispose]();
});

const capital = {
  model: "tiny-qwen3",
  messages: [{ role: "user", content: "What is the capital of France?" }],
};
const tale = (changes: object = {}) => ({
  model: endless.model,
  messages: [{ role: "user", content: "Tell me a tale." }],
  ...changes,
});

async function eventsOf(id: string, lastEventId?: string): Promise<SseEvent[]> {
  const headers = lastEventId === undefined ? {} : { "last-event-id": lastEventId };
  const reply = await fetch(`${cluster.url}/v1/jobs/${id}/events`, { headers });
  expect(reply.status).toBe(200);
  return Array.fromAsync(readSse(reply));
}

function joined(events: SseEvent[], key: "text" | "reasoning"): string {
  return events
    .filter(({ event }) => event === "delta")
    .map(({ data }) => (JSON.parse(data) as Record<string, string>)[key] ?? "")
    .join("");
}

test("followed live, and read again afterwards, the events are the same and give the result", async () => {
  const { id } = await submitJob(cluster.url, capital);
  const live = await eventsOf(id);
  expect(live.map(({ event }) => event)).toEqual(["start", ...live.slice(2).map(() => "delta"), "end"]);
  const job = await endedJob(cluster.url, id);
  const message = job.response?.body.choices[0]?.message;
  expect(message?.content).toContain("Paris");
  expect(joined(live, "text")).toBe(message?.content);
  expect(joined(live, "reasoning")).toBe(message?.reasoning_content);
  expect(JSON.parse(live.at(-1)?.data ?? "")).toMatchObject({
    status: "completed",
    finish_reason: "stop",
    usage: job.usage,
  });
  expect(await eventsOf(id)).toEqual(live);
});

test("a reader that comes back goes on after the last event it saw", async () => {
  const { id } = await submitJob(cluster.url, tale({ max_tokens: 2_000 }));
  const all = await eventsOf(id);
  expect(all.length).toBeGreaterThan(5);
  const end = all.pop();
  for (const [position, { id: seen }] of all.entries()) {
    expect(await eventsOf(id, seen ?? "")).toEqual([...all.slice(position + 1), end]);
  }
  // Browsers reconnect whenever a stream ends; this answer stops them.
  const headers = { "last-event-id": end?.id ?? "" };
  expect((await fetch(`${cluster.url}/v1/jobs/${id}/events`, { headers })).status).toBe(204);
});

test("a running job that is cancelled stops, keeps what it wrote, and frees its slot", async () => {
  const { id } = await submitJob(cluster.url, tale());
  const seen: SseEvent[] = [];
  for await (const event of readSse(await fetch(`${cluster.url}/v1/jobs/${id}/events`))) {
    seen.push(event);
    if (seen.length === 3) await callApi<Job>(`${cluster.url}/v1/jobs/${id}/cancel`, { method: "POST" });
  }
  expect(JSON.parse(seen.at(-1)?.data ?? "")).toMatchObject({ status: "cancelled" });
  const job = await callApi<Job>(`${cluster.url}/v1/jobs/${id}`);
  expect(job.status).toBe("cancelled");
  const text = job.response?.body.choices[0]?.message.content ?? "";
  expect(text).toBe(joined(seen, "text"));
  expect(text).not.toBe("");
  expect(endless.text.startsWith(text.slice(0, 500))).toBe(true);
  await until(async () => {
    const workers = await callApi<{ data: { model: string; busy: number }[] }>(`${cluster.url}/v1/workers`);
    return workers.data.find(({ model }) => model === endless.model)?.busy === 0;
  });
});

test("a queued job that is cancelled never runs", async () => {
  const running = await Promise.all(Array.from({ length: 2 }, () => submitJob(cluster.url, tale())));
  const { id } = await submitJob(cluster.url, tale());
  const cancelled = await callApi<Job>(`${cluster.url}/v1/jobs/${id}/cancel`, { method: "POST" });
  expect(cancelled).toMatchObject({ status: "cancelled", attempt: 0 });
  expect((await eventsOf(id)).map(({ event }) => event)).toEqual(["end"]);
  for (const job of running) await callApi(`${cluster.url}/v1/jobs/${job.id}/cancel`, { method: "POST" });
});
