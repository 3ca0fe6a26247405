import { startCluster, until } from "@quern/testing/cluster";
import { writeEndlessModel } from "@quern/testing/endless-model";
import { callApi, endedJob, type Job, readSse, type SseEvent, submitJob } from "@quern/testing/jobs-api";
import { expect, test } from "vitest";

// Promise: the death of an engine loses no job and answers none twice, and its streams go on at the next token.

/** Long enough to be still running when the engine is killed: some seconds for 8 of them. */
const MAX_TOKENS = 1_500;

interface Workers {
  data: { id: string; engine_pid: number | null; busy: number; state: string; slots: number }[];
}

test("8 jobs outlive the kill -9 of the engine that runs them, each with one result", async () => {
  await using endless = await writeEndlessModel();
  await using cluster = await startCluster({ workers: [{ ...endless.worker, slots: 8 }] });
  const { url } = cluster;
  const body = {
    model: endless.model,
    messages: [{ role: "user", content: "Tell me a tale." }],
    max_tokens: MAX_TOKENS,
  };
  const jobs = await Promise.all(Array.from({ length: 8 }, () => submitJob(url, body)));
  const streams = jobs.map(async ({ id }) =>
    Array.fromAsync(readSse(await fetch(`${url}/v1/jobs/${id}/events`))),
  );
  const enginePid = await until(async () => {
    const statuses = await Promise.all(jobs.map(({ id }) => callApi<Job>(`${url}/v1/jobs/${id}`)));
    if (!statuses.every(({ status }) => status === "running")) return null;
    return (await callApi<Workers>(`${url}/v1/workers`)).data[0]?.engine_pid;
  });
  process.kill(enginePid, "SIGKILL");

  const ended = await Promise.all(jobs.map(({ id }) => endedJob(url, id)));
  for (const job of ended) {
    expect(job).toMatchObject({ status: "completed", attempt: 2, error: null });
    const { usage, response } = job;
    expect(usage?.completion_tokens).toBe(MAX_TOKENS);
    expect(response?.body.usage).toEqual(usage);
  }
  for (const [position, stream] of streams.entries()) {
    const events = await stream;
    expect(new Set(events.map(({ event }) => event))).toEqual(new Set(["start", "delta", "end"]));
    expect(events.map(({ id }) => Number(id?.split("-")[1]))).toEqual(events.map((_, at) => at + 1));
    expect(new Set(events.map(({ id }) => id?.split("-")[0]))).toEqual(new Set(["1", "2"]));
    expect(events.filter(({ event }) => event === "end")).toHaveLength(1);
    expect(textOf(events)).toBe(ended[position]?.response?.body.choices[0]?.message.content ?? "");
    expect(textOf(events)).toBe(endless.text.slice(0, textOf(events).length));
  }
  const workers = await callApi<Workers>(`${url}/v1/workers`);
  expect(workers.data).toMatchObject([{ state: "ready" }]);
  expect(workers.data[0]?.engine_pid).not.toBe(enginePid);
});

function textOf(events: SseEvent[]): string {
  return events
    .filter(({ event }) => event === "delta")
    .map(({ data }) => (JSON.parse(data) as { text?: string }).text ?? "")
    .join("");
}
