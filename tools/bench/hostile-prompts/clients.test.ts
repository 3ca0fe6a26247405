import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { keepSending } from "./hostile-sender.ts";
import { sendSmallChat } from "./small-chat.ts";

const NEVER = new AbortController().signal;

/** A gateway that answers as it is told. */
async function startServer(listener: RequestListener): Promise<AsyncDisposable & { url: string }> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

const streamOf = (...events: (object | string)[]) =>
  events.map((data) => `data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`).join("");
const delta = (content: string) => ({ choices: [{ delta: { content } }] });

test.each([
  {
    what: "the first text is the first token, not the chunk that names the role",
    listener: (async (_, response) => {
      response.write(streamOf(delta("")));
      await new Promise(setImmediate);
      response.end(streamOf(delta("Os"), delta("lo"), "[DONE]"));
    }) satisfies RequestListener,
    sample: { outcome: "answered", ttftMs: expect.any(Number) },
  },
  {
    what: "a stream without text",
    listener: ((_, response) => response.end(streamOf(delta(""), "[DONE]"))) satisfies RequestListener,
    sample: { outcome: "failed", code: "no token" },
  },
  {
    what: "an error in the stream, after a token too",
    listener: ((_, response) =>
      response.end(streamOf(delta("Os"), { error: { code: "engine_failed" } }))) satisfies RequestListener,
    sample: { outcome: "failed", code: "engine_failed" },
  },
  {
    what: "a refusal",
    listener: ((_, response) =>
      response.writeHead(503).end('{"error":{"code":"redis_unavailable"}}')) satisfies RequestListener,
    sample: { outcome: "failed", code: "redis_unavailable" },
  },
  {
    what: "a connection that breaks",
    listener: ((request) => request.socket.destroy()) satisfies RequestListener,
    sample: { outcome: "failed", code: "UND_ERR_SOCKET" },
  },
])("a small chat: $what", async ({ listener, sample }) => {
  await using server = await startServer(listener);
  expect(await sendSmallChat(server.url, "m", NEVER)).toEqual(sample);
});

test("a small chat without a token in time has timed out", async () => {
  await using server = await startServer(() => {});
  expect(await sendSmallChat(server.url, "m", NEVER, 50)).toEqual({ outcome: "timed out" });
});

test("a small chat ends with an error when the whole measurement is stopped", async () => {
  const stop = new AbortController();
  await using server = await startServer(() => stop.abort());
  await expect(sendSmallChat(server.url, "m", stop.signal)).rejects.toThrow("abort");
});

test("the hostile client sends the next request when the last one is answered, as many at once as it is told", async () => {
  const stop = new AbortController();
  const waiting: (() => void)[] = [];
  let most = 0;
  let received = 0;
  await using server = await startServer(async (request, response) => {
    expect(await new Response(request as never).text()).toBe("{}");
    received += 1;
    waiting.push(() => response.writeHead(400).end('{"error":{"code":"too_large"}}'));
    most = Math.max(most, waiting.length);
    // The ninth request stays unanswered, and with it the one beside it.
    if (received >= 9) stop.abort();
    else if (waiting.length === 2) waiting.shift()?.();
  });
  const sender = keepSending(server.url, { body: Buffer.from("{}"), atOnce: 2 }, stop.signal);
  await sender.firstEnded;
  const replies = await sender.replies;
  expect(most).toBe(2);
  expect(replies.map(({ code }) => code).sort()).toEqual([
    ...Array(7).fill("too_large"),
    "unfinished",
    "unfinished",
  ]);
  expect(replies.every(({ tookMs }) => tookMs > 0)).toBe(true);
});

test("the hostile client records a connection that breaks, and an answer", async () => {
  const stop = new AbortController();
  let received = 0;
  await using server = await startServer((request, response) => {
    received += 1;
    if (received === 1) request.socket.destroy();
    else if (received === 2) response.end("{}");
    else stop.abort();
  });
  const sender = keepSending(server.url, { body: Buffer.from("{}"), atOnce: 1 }, stop.signal);
  const outcomes = (await sender.replies).map(({ status, code }) => [status, code]);
  expect(outcomes).toEqual([
    [null, "ECONNRESET"],
    [200, null],
    [null, "unfinished"],
  ]);
});
