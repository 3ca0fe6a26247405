import { once } from "node:events";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventsKey } from "../contract/names.ts";
import type { NumberedTokenEvent, TokenEvent } from "../contract/token-event.ts";
import { connectRedis } from "./connect.ts";
import { parseAnnouncement, readEvents } from "./event-stream.ts";
import { appendEvents, cancelJob, claimJob, commitJob, createJob, handBackJob } from "./job-store.ts";
import { handBack, newJob } from "./new-job.fixture.ts";

let server: RedisServer;
let redis: Redis;
let subscriber: Redis;

beforeAll(async () => {
  server = await startRedis();
  redis = connectRedis(server.url, "work", () => {});
  subscriber = connectRedis(server.url, "subscribe", () => {});
});
afterAll(async () => {
  redis?.disconnect();
  subscriber?.disconnect();
  await server?.[Symbol.asyncDispose]();
});

const delta = (data: Extract<TokenEvent, { type: "delta" }>["data"]): TokenEvent => ({ type: "delta", data });
const words = [
  delta({ reasoning: 'Hm "so"' }),
  delta({
    choice: 1,
    text: "𝄞\n\\ \u0000 ]}",
    logprobs: [
      { token: "\uFFFD", logprob: -0.5, bytes: [240, 157], top: [{ token: "x", logprob: -1, bytes: [120] }] },
      { token: "", logprob: -1e-12, bytes: [], top: [] },
    ],
    finish_reason: "length",
  }),
  delta({
    tool_calls: [
      { index: 0, id: "c", type: "function", function: { name: "f", arguments: '{"city": "Oslo"}' } },
    ],
  }),
];

/** What is announced of a job while `act` runs, up to its `end`. */
async function announcedWhile(jobId: string, act: () => Promise<unknown>): Promise<NumberedTokenEvent[]> {
  const heard: NumberedTokenEvent[] = [];
  const listen = (channel: string, message: string) => {
    if (channel === eventsKey(jobId)) heard.push(parseAnnouncement(message));
  };
  subscriber.on("message", listen);
  await subscriber.subscribe(eventsKey(jobId));
  await act();
  while (heard.at(-1)?.event.type !== "end") await once(subscriber, "message");
  subscriber.off("message", listen);
  await subscriber.unsubscribe(eventsKey(jobId));
  return heard;
}

test("every event is announced as it stands in the stream, over attempts up to the end", async () => {
  const { id: jobId, ...job } = newJob();
  const heard = await announcedWhile(jobId, async () => {
    await createJob(redis, { id: jobId, ...job });
    await claimJob(redis, jobId, 2_000);
    const [first, second, third] = words.map((event, i) => ({ seq: i + 2, event }));
    if (!first || !second || !third) throw new Error("three events");
    await appendEvents(redis, { jobId, epoch: 1 }, [first, second], 3_000);
    await handBackJob(redis, { jobId, epoch: 1 }, { ...handBack, because: "crashed" }, 4_000);
    await claimJob(redis, jobId, 5_000);
    const restart = { seq: 4, event: { type: "restart", data: { attempt: 2 } } as const };
    await appendEvents(redis, { jobId, epoch: 2 }, [restart, { ...first, seq: 5 }], 6_000);
    const error = { code: "engine_failed", message: '"why"', param: null };
    const failed = { status: "failed", usage: null, finish_reason: null } as const;
    const events = [
      { ...second, seq: 6 },
      { ...third, seq: 7 },
      { seq: 8, event: { type: "error", data: { code: error.code, message: error.message } } as const },
      { seq: 9, event: { type: "end", data: failed } as const },
    ];
    const end = { state: "failed", usage: null, result: null, error, events, retentionSeconds: 60 } as const;
    await commitJob(redis, { jobId, epoch: 2 }, { ...end, events }, 7_000);
  });
  const stored = await readEvents(redis, jobId, null);
  expect(heard).toEqual(stored);
  expect(stored.map(({ id, event }) => `${id} ${event.type}`)).toEqual([
    "1-1 start",
    "1-2 delta",
    "1-3 delta",
    "2-4 restart",
    "2-5 delta",
    "2-6 delta",
    "2-7 delta",
    "2-8 error",
    "2-9 end",
  ]);
  expect(stored.slice(4, 7).map(({ event }) => event)).toEqual(words);
});

test("the end that a cancel writes is announced with the id it got", async () => {
  const job = newJob();
  await createJob(redis, job);
  const heard = await announcedWhile(job.id, () => cancelJob(redis, job.id, { retentionSeconds: 60 }, 2_000));
  expect(heard).toEqual(await readEvents(redis, job.id, null));
});

test("reading on after an id gives what came later, over the boundary of an attempt", async () => {
  const { id: jobId, ...job } = newJob();
  await createJob(redis, { id: jobId, ...job });
  await claimJob(redis, jobId, 2_000);
  const many = Array.from({ length: 12 }, (_, i) => ({ seq: i + 2, event: delta({ text: `${i}` }) }));
  await appendEvents(redis, { jobId, epoch: 1 }, many, 3_000);
  await claimJob(redis, jobId, 4_000);
  await appendEvents(redis, { jobId, epoch: 2 }, [{ seq: 14, event: delta({ text: "on" }) }], 5_000);
  const idsAfter = async (id: string | null) => (await readEvents(redis, jobId, id)).map((event) => event.id);
  expect(await idsAfter("1-9")).toEqual(["1-10", "1-11", "1-12", "1-13", "2-14"]);
  expect(await idsAfter("1-99")).toEqual(["2-14"]);
  expect(await idsAfter("2-14")).toEqual([]);
  expect(await idsAfter("0-0")).toEqual(await idsAfter(null));
  expect(await readEvents(redis, newJob().id, null)).toEqual([]);
});

test.each(["", "{}", "not JSON", '{"id":"1-1","type":"delta"}', '{"id":"1-1","type":"nonsense","data":{}}'])(
  "%j is no announcement",
  (message) => {
    expect(() => parseAnnouncement(message)).toThrow();
  },
);
