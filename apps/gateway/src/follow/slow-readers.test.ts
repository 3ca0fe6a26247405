import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { eventsKey } from "@quern/shared/contract/names";
import { connectRedis } from "@quern/shared/redis/connect";
import { claimJob, createJob } from "@quern/shared/redis/job-store";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import express, { type RequestHandler } from "express";
import type { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { newJob } from "../../../../packages/shared/src/redis/new-job.fixture.ts";
import { newJobId } from "../dispatch/job-id.ts";
import { clientGone } from "../http/client-gone.ts";
import { SseWriter } from "../http/sse-writer.ts";
import { jobEventsRoute } from "../routes/job-events.ts";
import { EventHub } from "./event-hub.ts";
import { followEvents } from "./follow-events.ts";

let server: RedisServer;
let redis: Redis;
let subscriber: Redis;
const sockets: Socket[] = [];

beforeAll(async () => {
  server = await startRedis({ kind: "process", appendOnly: false });
  redis = connectRedis(server.url, "request", () => {});
  subscriber = connectRedis(server.url, "subscribe", () => {});
  await once(redis, "ready");
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});
afterAll(async () => {
  redis?.disconnect();
  subscriber?.disconnect();
  await server?.[Symbol.asyncDispose]();
});

const EVENTS = 1_000;
const TEXT = "x".repeat(64 * 1_024);

/** A running job with 64 MB of events. */
async function longJob(): Promise<string> {
  const { id, ...job } = newJob({ id: newJobId() });
  await createJob(redis, { id, ...job });
  await claimJob(redis, id, Date.now());
  for (let seq = 2; seq < EVENTS; seq += 1) {
    await redis.xadd(eventsKey(id), `1-${seq}`, "type", "delta", "data", JSON.stringify({ text: TEXT }));
  }
  const end = { status: "completed", usage: null, finish_reason: null };
  await redis.xadd(eventsKey(id), `1-${EVENTS}`, "type", "end", "data", JSON.stringify(end));
  return id;
}

/** Serves one route; `responses` are those it gave. */
async function serve(route: RequestHandler<{ id: string }>) {
  const responses: ServerResponse[] = [];
  const app = express();
  app.use((_request, response, next) => {
    responses.push(response);
    next();
  });
  app.get("/:id", route);
  const http = createServer(app).listen(0, "127.0.0.1");
  await once(http, "listening");
  const { port } = http.address() as AddressInfo;
  return {
    responses,
    /** Asks, and reads nothing of the answer. */
    ask: (id: string) => {
      const socket = connect(port, "127.0.0.1");
      sockets.push(socket);
      socket.write(`GET /${id} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n`);
      return socket;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets.splice(0)) socket.destroy();
      http.close();
      await once(http, "close");
    },
  };
}

test("a reader that does not read makes the gateway hold a page of events, and gets all of them when it does", async () => {
  const id = await longJob();
  const draining = new AbortController();
  await using app = await serve(
    jobEventsRoute({ redis, hub: new EventHub(subscriber), draining: draining.signal }),
  );
  await redis.config("RESETSTAT");
  const socket = app.ask(id);
  const response = await vi.waitUntil(() => app.responses[0], { timeout: 30_000 });
  let mostQueuedBytes = 0;
  const write = response.write.bind(response) as (text: string) => boolean;
  response.write = (text: string) => {
    const taken = write(text);
    mostQueuedBytes = Math.max(mostQueuedBytes, response.writableLength);
    return taken;
  };
  // Until the kernel's own buffers are full, too, and nothing moves any more.
  let writtenBytes = -1;
  await vi.waitUntil(
    () => {
      const before = writtenBytes;
      writtenBytes = response.socket?.bytesWritten ?? 0;
      return response.writableNeedDrain && writtenBytes === before;
    },
    { timeout: 30_000, interval: 200 },
  );
  const pagesRead = Number(/cmdstat_xrange:calls=(\d+)/.exec(await redis.info("commandstats"))?.[1]);
  expect(pagesRead).toBeLessThan(EVENTS / 64);

  let received = 0;
  let tail = "";
  for await (const chunk of socket) {
    received += (chunk as Buffer).length;
    tail = (tail + chunk).slice(-200);
  }
  expect(received).toBeGreaterThan(EVENTS * TEXT.length * 0.99);
  expect(tail).toContain(`event: end\nid: 1-${EVENTS}\n`);
  // One event, and what Node buffers before it says that it is full.
  expect(mostQueuedBytes).toBeLessThan(2 * TEXT.length);
});

test("a stream says that it is still there while nothing happens, and while Redis is away", async () => {
  const { id, ...job } = newJob({ id: newJobId() });
  await createJob(redis, { id, ...job });
  const hub = new EventHub(subscriber);
  await using app = await serve(async (_request, response) => {
    const gone = clientGone(response);
    using writer = new SseWriter(response, gone, 5);
    for await (const { event } of followEvents(hub, redis, id, null, gone)) {
      await writer.event({ data: event.type });
    }
  });
  const socket = app.ask(id);
  let text = "";
  const comments = () => text.split(": still here\n\n").length - 1;
  socket.on("data", (chunk) => {
    text += chunk;
  });
  await vi.waitUntil(() => comments() > 3, { timeout: 30_000 });
  process.kill(server.pid as number, "SIGSTOP");
  try {
    const before = comments();
    await vi.waitUntil(() => comments() > before + 300, { timeout: 30_000 });
  } finally {
    process.kill(server.pid as number, "SIGCONT");
  }
  expect(text).not.toContain("data:");
});
