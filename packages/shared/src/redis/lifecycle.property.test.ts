import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import fc from "fast-check";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { isTerminal } from "../contract/lifecycle.ts";
import { eventsKey, jobKey } from "../contract/names.ts";
import { connectRedis } from "./connect.ts";
import { expireQueuedJob } from "./deadlines.ts";
import { readEvents } from "./event-stream.ts";
import {
  appendEvents,
  cancelJob,
  claimJob,
  commitJob,
  confirmJob,
  createJob,
  handBackJob,
  readJob,
} from "./job-store.ts";
import { type PlannedCommand, plannedLife, Writers } from "./lifecycle-commands.fixture.ts";
import {
  applyToModel,
  type Deadline,
  type Model,
  type ModelJob,
  type SentCommand,
} from "./lifecycle-model.fixture.ts";
import { newJob } from "./new-job.fixture.ts";

// Whatever commands arrive, in whatever order, late, twice or not at all: Redis does what the lifecycle table says.
// QUERN_PROPERTY_COMMANDS: about how many; QUERN_PROPERTY_SEED and QUERN_PROPERTY_PATH: to replay a failure.

const COMMANDS = Number(process.env.QUERN_PROPERTY_COMMANDS ?? 4_000);
const SEED = Number(process.env.QUERN_PROPERTY_SEED ?? Date.now() % 2 ** 31);
const PATH = process.env.QUERN_PROPERTY_PATH;
/** What a life has on average. */
const COMMANDS_A_LIFE = 20;

const DEADLINES_AT_MS: Record<Deadline, number | null> = {
  none: null,
  passed: Date.UTC(2001, 0),
  "far off": Date.UTC(2101, 0),
};

let server: RedisServer;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, "work", () => {});
});
afterAll(async () => {
  redis?.disconnect();
  await server?.[Symbol.asyncDispose]();
});

async function send(jobId: string, command: SentCommand, nowMs: number): Promise<string> {
  const attempt = "epoch" in command ? { jobId, epoch: command.epoch } : { jobId, epoch: 0 };
  switch (command.kind) {
    case "create": {
      const job = newJob({ id: jobId, createdAtMs: nowMs, deadlineAtMs: DEADLINES_AT_MS[command.deadline] });
      return (await createJob(redis, job)).created ? "created" : "exists";
    }
    case "confirm":
      await confirmJob(redis, { id: jobId, tenant: "default" });
      return "done";
    case "claim": {
      const claim = await claimJob(redis, jobId, nowMs, command);
      if (claim.kind === "claimed") return `claimed ${claim.record.attempt} after ${claim.lastSeq}`;
      return claim.kind === "ended" ? `ended ${claim.state}` : claim.kind;
    }
    case "cancel":
      return cancelJob(redis, jobId, { retentionSeconds: 60 }, nowMs);
    case "expire":
      return (await expireQueuedJob(redis, jobId, { retentionSeconds: 60 })).kind;
    case "forget":
      await forget(jobId, command.events);
      return "forgotten";
    case "append":
      return appendEvents(redis, attempt, command.events, nowMs);
    case "commit": {
      const { state, usage, events } = command;
      const end = { state, usage, result: null, error: null, events, retentionSeconds: 60 };
      return commitJob(redis, attempt, end, nowMs);
    }
    case "hand_back": {
      const { handedBack } = await handBackJob(redis, attempt, command, nowMs);
      return handedBack ? "handed back" : "not handed back";
    }
  }
}

/** As after a Redis that was killed before it had synced its last events. */
async function forget(jobId: string, count: number): Promise<void> {
  const job = await readJob(redis, jobId);
  if (job === null || isTerminal(job.state)) return;
  const ids = (await readEvents(redis, jobId, null)).map(({ id }) => id);
  const kept = Math.max(1, ids.length - count);
  if (ids.length <= kept) return;
  await redis.xdel(eventsKey(jobId), ...ids.slice(kept));
  await redis.call("XSETID", eventsKey(jobId), ids[kept - 1] as string);
}

/** What Redis holds, in the model's shape. */
async function held(jobId: string): Promise<ModelJob | null> {
  const [record, claimedBy, events, recordTtl, eventsTtl] = await Promise.all([
    readJob(redis, jobId),
    redis.hget(jobKey(jobId), "workerId"),
    readEvents(redis, jobId, null),
    redis.ttl(jobKey(jobId)),
    redis.ttl(eventsKey(jobId)),
  ]);
  if (record === null) {
    expect(events).toEqual([]);
    return null;
  }
  const { state, attempt, crashes, kills, lostAttempts, parks, suspectSinceMs, cancelRequested, usage } =
    record;
  const { queuedAtMs, startedAtMs, firstTokenAtMs, endedAtMs } = record;
  // The events live as long as the record, and expire with it only.
  if (events.length > 0) expect(eventsTtl > 0).toBe(isTerminal(state));
  const counts = { attempt, crashes, kills, lostAttempts, parks, suspectSinceMs: clocked(suspectSinceMs) };
  const times = { queuedAtMs, startedAtMs, firstTokenAtMs, endedAtMs: clocked(endedAtMs) };
  // A worker that is never met again has a name of its own.
  const workerId = claimedBy === "one" || claimedBy === "other" ? claimedBy : null;
  return { state, ...counts, workerId, cancelRequested, ...times, usage, events, expires: recordTtl > 0 };
}

/** The test's own times are far below those of any clock. */
function clocked<Time extends number | null>(timeMs: Time): Time | "by Redis' clock" {
  return timeMs !== null && timeMs > Date.UTC(2001, 0) ? "by Redis' clock" : timeMs;
}

/** What holds for every stream, whatever the model says. */
function expectWhole(job: ModelJob | null): void {
  if (job === null) return;
  const numbers = job.events.map(({ id }) => id.split("-").map(Number));
  expect(numbers.map(([, seq]) => seq)).toEqual(numbers.map((_, at) => at + 1));
  const epochs = numbers.map(([epoch]) => epoch as number);
  expect(epochs).toEqual([...epochs].sort((a, b) => a - b));
  const ends = job.events.filter(({ event }) => event.type === "end").length;
  expect(ends).toBe(isTerminal(job.state) ? 1 : 0);
  if (ends === 1) expect(job.events.at(-1)?.event.type).toBe("end");
}

async function live(life: PlannedCommand[], replies: Map<string, number>): Promise<number> {
  const { id } = newJob();
  const model: Model = { job: null, deadline: "none" };
  const writers = new Writers();
  let nowMs = 1_000;
  let sent = 0;
  for (const planned of life) {
    const command = writers.commandOf(planned);
    if (command === null || planned.delivery === "never") continue;
    for (let time = 0; time < (planned.delivery === "twice" ? 2 : 1); time++) {
      nowMs += 10;
      sent += 1;
      const reply = await send(id, command, nowMs);
      expect(reply).toBe(applyToModel(model, command, nowMs));
      const kind = `${command.kind}: ${reply.replaceAll(/\d+/g, "n").replace(ENDED, "ended")}`;
      replies.set(kind, (replies.get(kind) ?? 0) + 1);
    }
    const { job } = model;
    const heard = command.kind === "claim" && planned.delivery !== "unheard";
    if (heard && job?.state === "running") writers.claimed(job.attempt, job.events.length);
    const now = await held(id);
    expect(now).toEqual(model.job);
    expectWhole(now);
  }
  await redis.unlink(jobKey(id), eventsKey(id));
  return sent;
}

/** A commit is told the state the job is in, a claim too. */
const ENDED = /^(ended )?(completed|failed)$|^ended (cancelled|expired)$/;

/** Were one of them never met, the commands would not test what they are for. */
const MUST_MEET = [
  "create: exists",
  "claim: claimed n after n",
  "claim: gone",
  "claim: ended",
  "claim: overdue",
  "claim: suspect",
  "expire: expired",
  "expire: early",
  "expire: running",
  "expire: ended",
  "append: ok",
  "append: cancel",
  "append: fenced",
  "append: gap",
  "commit: committed",
  "commit: running",
  "commit: queued",
  "commit: ended",
  "hand_back: handed back",
  "hand_back: not handed back",
  "cancel: cancelled",
  "cancel: asked",
  "cancel: ended",
];

test(`${COMMANDS} commands to jobs, seed ${SEED}`, { timeout: 120_000 }, async () => {
  const replies = new Map<string, number>();
  let sent = 0;
  const property = fc.asyncProperty(plannedLife, async (life) => {
    sent += await live(life, replies);
  });
  const replay = PATH === undefined ? {} : { path: PATH };
  await fc.assert(property, { seed: SEED, numRuns: Math.ceil(COMMANDS / COMMANDS_A_LIFE), ...replay });
  console.log(`${sent} commands, seed ${SEED}: ${JSON.stringify(Object.fromEntries([...replies].sort()))}`);
  // In fewer commands the rare ones can be missing by chance.
  if (PATH === undefined && COMMANDS >= 10_000)
    expect([...replies.keys()]).toEqual(expect.arrayContaining(MUST_MEET));
});
