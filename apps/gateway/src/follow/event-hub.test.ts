import { once } from "node:events";
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from "node:net";
import { eventsKey } from "@quern/shared/contract/names";
import { connectRedis } from "@quern/shared/redis/connect";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import type { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { EventHub, type Listener } from "./event-hub.ts";

let server: RedisServer;
let redis: Redis;
let hop: Hop;
let subscriber: Redis;
let stop: AbortController;

beforeAll(async () => {
  server = await startRedis({ kind: "process", appendOnly: false });
  redis = connectRedis(server.url, "request", () => {});
  await once(redis, "ready");
});
afterAll(async () => {
  redis?.disconnect();
  await server?.[Symbol.asyncDispose]();
});
beforeEach(async () => {
  hop = await startHop(server.port);
  subscriber = connectRedis(`redis://127.0.0.1:${hop.port}`, "subscribe", () => {});
  await once(subscriber, "ready");
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  subscriber.disconnect();
  await hop.close();
});

/** A hop before Redis that can hold back subscriptions: those are the commands of a reconnect that Redis answers last. */
interface Hop {
  port: number;
  /** Cuts connections; of the next ones it holds subscriptions back until `release`. */
  cutAndHold(): void;
  /** Whether a subscription is held back. */
  readonly holds: boolean;
  release(): void;
  close(): Promise<void>;
}

async function startHop(redisPort: number): Promise<Hop> {
  const sockets = new Set<Socket>();
  let holding = false;
  let held: (() => void)[] = [];
  const hop = createServer((from) => {
    const to = connectTcp(redisPort, "127.0.0.1");
    for (const socket of [from, to]) {
      sockets.add(socket);
      socket
        .on("error", () => {})
        .on("close", () => {
          from.destroy();
          to.destroy();
        });
    }
    to.pipe(from);
    from.on("data", (chunk: Buffer) => {
      if (holding && /subscribe/i.test(chunk.toString("latin1"))) held.push(() => to.write(chunk));
      else to.write(chunk);
    });
  }).listen(0, "127.0.0.1");
  await once(hop, "listening");
  return {
    port: (hop.address() as AddressInfo).port,
    cutAndHold: () => {
      holding = true;
      for (const socket of sockets) socket.destroy();
      sockets.clear();
    },
    get holds() {
      return held.length > 0;
    },
    release: () => {
      holding = false;
      for (const pass of held) pass();
      held = [];
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      hop.close();
      await once(hop, "close");
    },
  };
}

test("what is announced between a reconnect and its subscription is known to be missed", async () => {
  const hub = new EventHub(subscriber);
  await using listener = await hub.listen("job_1", stop.signal);
  hop.cutAndHold();
  await vi.waitUntil(() => hop.holds && subscriber.status === "ready", { timeout: 10_000 });
  // A follower that looks now reads the stream, and takes it that it knows all until then.
  listener.take();
  await redis.publish(eventsKey("job_1"), '{"id":"1-2","type":"delta","data":{"text":"lost"}}');
  hop.release();
  await vi.waitUntil(() => listener.take() === null, { timeout: 10_000 });
});

const announced = (seq: number) => `{"id":"1-${seq}","type":"delta","data":{"text":"${seq}"}}`;

test("an event is parsed once, however many follow it", async () => {
  const hub = new EventHub(subscriber);
  await using first = await hub.listen("job_1", stop.signal);
  await using second = await hub.listen("job_1", stop.signal);
  await redis.publish(eventsKey("job_1"), announced(2));
  await Promise.all([first.heard(10_000), second.heard(10_000)]);
  const [announcement] = first.take() ?? [];
  expect(announcement?.numbered).toEqual({ id: "1-2", event: { type: "delta", data: { text: "2" } } });
  expect(second.take()?.[0]?.numbered).toBe(announcement?.numbered);
});

test("a listener takes what was announced since it began, and since it took last", async () => {
  const hub = new EventHub(subscriber);
  const idsOf = (listener: Listener) => listener.take()?.map(({ numbered }) => numbered.id);
  await using first = await hub.listen("job_1", stop.signal);
  await redis.publish(eventsKey("job_1"), announced(2));
  await first.heard(10_000);
  await using second = await hub.listen("job_1", stop.signal);
  await redis.publish(eventsKey("job_1"), announced(3));
  await second.heard(10_000);
  expect(idsOf(second)).toEqual(["1-3"]);
  expect(idsOf(first)).toEqual(["1-2", "1-3"]);
  expect(idsOf(first)).toEqual([]);
  await redis.publish(eventsKey("job_1"), announced(4));
  await first.heard(10_000);
  expect([idsOf(first), idsOf(second)]).toEqual([["1-4"], ["1-4"]]);
});

test("a listener that falls far behind has missed announcements; the others have not", async () => {
  const hub = new EventHub(subscriber);
  await using slow = await hub.listen("job_1", stop.signal);
  await using quick = await hub.listen("job_1", stop.signal);
  for (let seq = 2; seq < 400; seq += 1) {
    await redis.publish(eventsKey("job_1"), announced(seq));
    await quick.heard(10_000);
    expect(quick.take()).toHaveLength(1);
  }
  expect(slow.take()).toBeNull();
  expect(slow.take()).toEqual([]);
});

test("a listener whose follower leaves waits no longer", async () => {
  const hub = new EventHub(subscriber);
  await using listener = await hub.listen("job_1", stop.signal);
  const waiting = listener.heard(600_000);
  stop.abort();
  await waiting;
  expect(listener.stopped).toBe(true);
  await listener.heard(600_000);
});
