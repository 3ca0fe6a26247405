import { generationResultSchema } from "@quern/shared/contract/generation";
import { generationRequest } from "@quern/shared/contract/generation-request.fixture";
import type { JobRecord } from "@quern/shared/contract/job";
import { CANCEL_CHANNEL, jobKey, queuePrefix, tokenCountChannel } from "@quern/shared/contract/names";
import { writeTokenCountQuestion } from "@quern/shared/contract/token-count";
import type { TokenEvent } from "@quern/shared/contract/token-event";
import type { WorkerRegistration } from "@quern/shared/contract/worker";
import { defaultCatalogueFile } from "@quern/shared/models/catalogue";
import { connectRedis } from "@quern/shared/redis/connect";
import { readEvents } from "@quern/shared/redis/event-stream";
import {
  cancelJob,
  claimJob,
  confirmJob,
  createJob,
  readJob,
  readJobState,
} from "@quern/shared/redis/job-store";
import { listWorkers } from "@quern/shared/redis/registry";
import { until } from "@quern/testing/cluster";
import { type EndlessModel, writeEndlessModel } from "@quern/testing/endless-model";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import { Queue } from "bullmq";
import type { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { WorkerConfig } from "./config.ts";
import { DEFAULT_CHILD } from "./supervise/engine-process.ts";
import { runWorker } from "./worker.ts";

let server: RedisServer;
let redis: Redis;
let endless: EndlessModel;
let queue: Queue;
let running: { stop: AbortController; ended: Promise<void> }[] = [];
let nextJob = 1;

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, "work", () => {});
  endless = await writeEndlessModel();
  queue = new Queue("interactive", { connection: redis, prefix: queuePrefix(endless.model) });
});
afterEach(stopWorkers);
afterAll(async () => {
  await queue?.close();
  redis?.disconnect();
  await endless?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

async function stopWorkers(): Promise<void> {
  const stopping = running;
  running = [];
  for (const { stop } of stopping) stop.abort();
  await Promise.all(stopping.map(({ ended }) => ended));
}

function workerConfig(): WorkerConfig {
  return {
    redisUrl: server.url,
    model: {
      spec: endless.worker.model ?? "",
      catalogueFile: defaultCatalogueFile(),
      cacheDir: "unused",
      hfEndpoint: null,
      hfToken: null,
    },
    engine: {
      threads: 1,
      cores: 1,
      slots: 4,
      reservedSlots: null,
      contextTokens: 8_192,
      driver: "batch",
      stateDir: "unused",
      kvType: null,
      flashAttention: null,
      gpuLayers: null,
      gpu: null,
      loras: null,
    },
    child: DEFAULT_CHILD,
    leaseMs: 30_000,
    retentionSeconds: 60,
    drainGraceMs: 0,
    log: { format: "json", level: "error" },
    telemetry: false,
    metrics: "off",
  };
}

function startWorker(): void {
  const stop = new AbortController();
  running.push({ stop, ended: runWorker(workerConfig(), stop.signal) });
}

async function submit(maxTokens: number, choices = 1): Promise<string> {
  const id = `job_${String(nextJob++).padStart(4, "0")}`;
  const job = {
    id,
    tenant: "default",
    model: endless.model,
    endpoint: "/v1/chat/completions" as const,
    class: "interactive" as const,
    metadata: {},
    traceparent: null,
    createdAtMs: Date.now(),
    request: generationRequest({
      messages: [{ role: "user", content: "Tell me a tale." }],
      maxTokens,
      choices,
    }),
  };
  await createJob(redis, job);
  await queue.add("generate", { jobId: id }, { jobId: id });
  await confirmJob(redis, job);
  return id;
}

function untilState(id: string, ...states: JobRecord["state"][]): Promise<JobRecord> {
  return until(async () => {
    const record = await readJob(redis, id);
    return record !== null && states.includes(record.state) ? record : null;
  });
}

/** With text published: its engine is at work on it. */
function untilSpeaking(id: string): Promise<true> {
  return until(async () => ((await readEvents(redis, id, null)).length > 2 ? true : null));
}

test("a job's events concatenate to its committed result", async () => {
  startWorker();
  const id = await submit(300);
  const record = await untilState(id, "completed");
  expect(record.usage).toMatchObject({ completionTokens: 300 });
  const answer = generationResultSchema.parse(record.result);
  expect(endless.text.startsWith(answer.text)).toBe(true);
  const events = (await readEvents(redis, id, null)).map(({ event }) => event);
  expect(events[0]?.type).toBe("start");
  expect(events.at(-1)).toMatchObject({
    type: "end",
    data: { status: "completed", finish_reason: "length" },
  });
  const text = events.map((event) => (event.type === "delta" ? (event.data.text ?? "") : "")).join("");
  expect(text).toBe(answer.text);
});

test("a cancel reaches a running job by announcement, and by its next write when that was missed", async () => {
  startWorker();
  for (const announced of [true, false]) {
    const id = await submit(8_000);
    await untilSpeaking(id);
    expect(await cancelJob(redis, id, { retentionSeconds: 60 }, Date.now())).toBe("asked");
    if (announced) await redis.publish(CANCEL_CHANNEL, id);
    const record = await untilState(id, "cancelled");
    expect(record.result).toMatchObject({ finishReason: null });
    expect(record.usage?.completionTokens).toBeLessThan(8_000);
  }
});

test("a draining worker hands back what runs, and another one answers it", async () => {
  startWorker();
  const id = await submit(2_000);
  await untilSpeaking(id);
  await stopWorkers();
  expect(await readJob(redis, id)).toMatchObject({ state: "queued", attempt: 1, crashes: 0 });
  expect(await queue.getWaiting()).toHaveLength(1);
  expect(await listWorkers(redis)).toEqual([]);
  startWorker();
  expect(await untilState(id, "completed")).toMatchObject({ attempt: 2, usage: { completionTokens: 2_000 } });
});

/** Ends each engine that runs the job's next attempt, so many times. */
async function endEngines(id: string, signal: NodeJS.Signals, times: number): Promise<void> {
  for (let attempt = 1; attempt <= times; attempt++) {
    await until(async () => {
      const record = await readJob(redis, id);
      return record?.attempt === attempt && record.state === "running" ? true : null;
    });
    const enginePid = await until(async () => (await listWorkers(redis))[0]?.enginePid);
    process.kill(enginePid, signal);
    await until(async () => (await listWorkers(redis))[0]?.enginePid !== enginePid);
  }
}

test("a job whose engine crashes three times under it fails, says why, and keeps what it had said", async () => {
  startWorker();
  const id = await submit(8_000, 2);
  await untilSpeaking(id);
  await endEngines(id, "SIGABRT", 3);
  const record = await untilState(id, "failed");
  expect(record).toMatchObject({ attempt: 3, crashes: 2, kills: 0, error: { code: "engine_crashed" } });
  expect(record.error?.message).toContain("died 3 times");
  const events = (await readEvents(redis, id, null)).map(({ event }) => event);
  expect(events.map(({ type }) => type).slice(-2)).toEqual(["error", "end"]);
  const { text, alternatives } = generationResultSchema.parse(record.result);
  expect([text, ...alternatives.map((choice) => choice.text)]).toEqual([
    textOf(events, 0),
    textOf(events, 1),
  ]);
});

test("a job whose engine is killed from outside again and again completes", async () => {
  startWorker();
  const id = await submit(4_000);
  await endEngines(id, "SIGKILL", 4);
  const record = await untilState(id, "completed");
  expect(record).toMatchObject({ attempt: 5, crashes: 0, suspectSinceMs: null });
  expect(record.usage?.completionTokens).toBe(4_000);
});

test("a job that is cancelled after its engine was killed has all its choices, spoken or not", async () => {
  startWorker();
  const id = await submit(8_000, 3);
  await untilSpeaking(id);
  await redis.hset(jobKey(id), "cancelRequested", "1");
  const enginePid = await until(async () => (await listWorkers(redis))[0]?.enginePid);
  process.kill(enginePid, "SIGKILL");
  const record = await untilState(id, "cancelled");
  const events = (await readEvents(redis, id, null)).map(({ event }) => event);
  const { text, alternatives } = generationResultSchema.parse(record.result);
  const choices = [text, ...alternatives.map((choice) => choice.text)];
  expect(choices).toEqual([0, 1, 2].map((choice) => textOf(events, choice)));
});

/** What the stream tells of one choice. */
function textOf(events: readonly TokenEvent[], choice: number): string {
  const said = events.flatMap((event) => (event.type === "delta" ? [event.data] : []));
  return said
    .filter((delta) => (delta.choice ?? 0) === choice)
    .map((delta) => delta.text ?? "")
    .join("");
}

test("a job whose record nobody can read fails after a few tries, and one whose estimate is senseless runs", async () => {
  const [broken, odd] = [await submit(5), await submit(5)];
  await redis.hset(jobKey(broken), "request", "{}");
  const never = { p50: null, p90: null };
  const estimate = { madeAtMs: 1, endsBefore: 1, startAtMs: never, endAtMs: never };
  await redis.hset(jobKey(odd), "estimate", JSON.stringify(estimate));
  startWorker();
  await untilState(odd, "completed");
  await until(async () => (await readJobState(redis, broken)) === "failed");
  expect(await redis.hget(jobKey(broken), "error")).toContain("internal_error");
  const types = (await readEvents(redis, broken, null)).map(({ event }) => event.type);
  expect(types.slice(-2)).toEqual(["error", "end"]);
  await until(async () => (await listWorkers(redis)).every(({ busy }) => busy === 0));
});

test("an attempt that lost its job to another stops, and leaves no trace in its stream", async () => {
  startWorker();
  const id = await submit(8_000);
  await untilSpeaking(id);
  // As another worker would, whose BullMQ leased the job after our lease lapsed.
  const claim = await claimJob(redis, id, Date.now());
  await until(async () => (await queue.getActiveCount()) === 0);
  expect(await readJob(redis, id)).toMatchObject({ state: "running", attempt: 2, result: null });
  const events = await readEvents(redis, id, null);
  expect(claim).toMatchObject({ kind: "claimed", lastSeq: events.length });
});

test("more context than the model was trained for is refused with both numbers", async () => {
  const model = {
    spec: "tiny-qwen3",
    catalogueFile: defaultCatalogueFile(),
    cacheDir: "",
    hfEndpoint: null,
    hfToken: null,
  };
  const config = {
    ...workerConfig(),
    model,
    engine: { ...workerConfig().engine, slots: 1, contextTokens: 4_096 },
  };
  await expect(runWorker(config, new AbortController().signal)).rejects.toMatchObject({
    code: "config_invalid",
    message: expect.stringMatching(/2048.*4096/),
  });
});

test("answers how many tokens a prompt has", async () => {
  startWorker();
  const [{ id }] = (await until(async () => {
    const workers = await listWorkers(redis);
    return workers.length > 0 ? workers : null;
  })) as [WorkerRegistration];
  const subscriber = connectRedis(server.url, "subscribe", () => {});
  try {
    await subscriber.subscribe("answers");
    const answered = new Promise<string>((resolve) => subscriber.once("message", (_, text) => resolve(text)));
    const messages = [{ role: "user" as const, content: "Hello" }];
    const request = { completion: null, messages, tools: [], templateOptions: {} };
    const question = writeTokenCountQuestion({ questionId: "q1", replyChannel: "answers" }, request);
    await until(async () => (await redis.publish(tokenCountChannel(id), question)) > 0);
    expect(JSON.parse(await answered)).toEqual({
      questionId: "q1",
      tokens: [expect.any(Number)],
      refusal: null,
    });
  } finally {
    subscriber.disconnect();
  }
});

test("a job whose deadline passed under a worker that vanished ends without being run again", async () => {
  const id = await submit(8_000);
  await claimJob(redis, id, Date.now());
  await redis.hset(jobKey(id), "deadlineAtMs", 1);
  startWorker();
  const record = await untilState(id, "expired");
  expect(record).toMatchObject({ attempt: 2, usage: null, result: null, error: null });
  const events = (await readEvents(redis, id, null)).map(({ event }) => event.type);
  expect(events).toEqual(["start", "end"]);
});
