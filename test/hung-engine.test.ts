import { setTimeout as sleep } from "node:timers/promises";
import { startCluster, until } from "@quern/testing/cluster";
import { writeEndlessModel } from "@quern/testing/endless-model";
import { callApi, endedJob, type Job, submitJob } from "@quern/testing/jobs-api";
import { expect, test } from "vitest";

// Promise: an engine that hangs keeps no job: its worker kills it, says why, and the jobs complete.

const JOBS = 24;
const MAX_TOKENS = 400;
const STEP_TIMEOUT_SECONDS = 3;

interface Workers {
  data: { engine_pid: number | null; busy: number; state: string }[];
}

test("24 jobs complete beside an engine that was stopped while it answered some of them", async () => {
  await using endless = await writeEndlessModel();
  const worker = {
    ...endless.worker,
    slots: 8,
    env: { ...endless.worker.env, QUERN_STEP_TIMEOUT_SECONDS: String(STEP_TIMEOUT_SECONDS) },
  };
  await using cluster = await startCluster({ workers: [worker, worker] });
  const { url } = cluster;
  const body = {
    model: endless.model,
    messages: [{ role: "user", content: "Tell me a tale." }],
    max_tokens: MAX_TOKENS,
  };
  const jobs = await Promise.all(Array.from({ length: JOBS }, () => submitJob(url, body)));
  const stoppedPid = await until(async () => {
    const { data } = await callApi<Workers>(`${url}/v1/workers`);
    return data.find(({ busy }) => busy >= 4)?.engine_pid;
  });
  process.kill(stoppedPid, "SIGSTOP");

  const ended = await Promise.all(jobs.map(({ id }) => endedJob(url, id)));
  for (const job of ended) {
    expect(job).toMatchObject({ status: "completed", error: null });
    const text = job.response?.body.choices[0]?.message.content ?? "";
    expect(text).toBe(endless.text.slice(0, text.length));
    expect(job.usage?.completion_tokens).toBe(MAX_TOKENS);
  }
  expect(ended.filter(({ attempt }: Job) => attempt > 1).length).toBeGreaterThan(0);
  const logs = cluster.workers.map((process) => process.output()).join("\n");
  expect(logs).toMatch(/"death":"it hung and was killed: no step ended for \d+ s with \d+ requests pending"/);
  await until(async () => {
    const { data } = await callApi<Workers>(`${url}/v1/workers`);
    return data.every(({ state, engine_pid }) => state === "ready" && engine_pid !== stoppedPid);
  });
});

test("an engine that stands still for less than the time-out, again and again, is left alone", async () => {
  await using endless = await writeEndlessModel();
  const env = { ...endless.worker.env, QUERN_STEP_TIMEOUT_SECONDS: "4" };
  await using cluster = await startCluster({ workers: [{ ...endless.worker, slots: 2, env }] });
  const { url } = cluster;
  const messages = [{ role: "user", content: "Tell me a tale." }];
  const job = await submitJob(url, { model: endless.model, messages, max_tokens: 5_000 });
  const pid = await until(async () => {
    const [worker] = (await callApi<Workers>(`${url}/v1/workers`)).data;
    return worker !== undefined && worker.busy > 0 ? worker.engine_pid : null;
  });
  // Twice as long in all as the time-out, with some steps in between: the pauses are what is tried here.
  for (let pause = 0; pause < 4; pause++) {
    process.kill(pid, "SIGSTOP");
    await sleep(2_000);
    process.kill(pid, "SIGCONT");
    await sleep(300);
  }
  expect(await endedJob(url, job.id)).toMatchObject({ status: "completed", attempt: 1 });
  expect((await callApi<Workers>(`${url}/v1/workers`)).data[0]?.engine_pid).toBe(pid);
});
