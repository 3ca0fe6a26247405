import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:tls";
import { answering, startWebhookSink, type WebhookSink } from "@quern/testing/webhook-sink";
import { Webhook } from "standardwebhooks";
import { afterEach, expect, test } from "vitest";
import { type DeliverOptions, type Delivery, deliver } from "./deliver.ts";
import { type ReceiverAddress, type Resolve, resolveName } from "./receiver-addresses.ts";

const secret = `whsec_${Buffer.alloc(32, 1).toString("base64")}`;
const body = JSON.stringify({ type: "job.completed", data: { id: "job_1", text: "¿Qué? 語" } });
const LOOPBACK: ReceiverAddress = { address: "127.0.0.1", family: 4 };

let sinks: WebhookSink[] = [];
afterEach(async () => {
  await Promise.all(sinks.map((sink) => sink[Symbol.asyncDispose]()));
  sinks = [];
});

async function sink(...answer: Parameters<typeof startWebhookSink>): Promise<WebhookSink> {
  const started = await startWebhookSink(...answer);
  sinks.push(started);
  return started;
}

function attempt(url: string, changes: Partial<DeliverOptions & Delivery> = {}) {
  const { secrets = [secret], ...options } = changes;
  return deliver(
    { id: "msg_1", url, body, secrets },
    {
      privateReceivers: "allowed",
      resolve: resolveName,
      nowMs: Date.now(),
      signal: new AbortController().signal,
      ...options,
    },
  );
}

/** A resolver that knows one name, and counts how often it is asked. */
function resolverOf(addresses: ReceiverAddress[]): Resolve & { asked: string[] } {
  const asked: string[] = [];
  return Object.assign(
    async (name: string) => {
      asked.push(name);
      return addresses;
    },
    { asked },
  );
}

test("a delivery is signed so that the official library takes it", async () => {
  const receiver = await sink(answering(() => 204));
  expect(await attempt(receiver.url)).toEqual({ kind: "delivered", statusCode: 204 });
  const [{ headers, body: received } = { headers: {}, body: "" }] = receiver.received;
  expect(new Webhook(secret).verify(received, headers as Record<string, string>)).toEqual(JSON.parse(body));
  expect(headers).toMatchObject({ "content-type": "application/json", "webhook-id": "msg_1" });
});

test("while a secret is replaced, receivers that know either of them take it", async () => {
  const next = `whsec_${Buffer.alloc(24, 2).toString("base64")}`;
  const receiver = await sink(answering(() => 200));
  await attempt(receiver.url, { secrets: [secret, next] });
  const [{ headers, body: received } = { headers: {}, body: "" }] = receiver.received;
  const known = headers as Record<string, string>;
  expect(known["webhook-signature"]?.split(" ")).toHaveLength(2);
  for (const one of [secret, next]) expect(new Webhook(one).verify(received, known)).toBeTruthy();
  const stranger = new Webhook(`whsec_${Buffer.alloc(24, 3).toString("base64")}`);
  expect(() => stranger.verify(received, known)).toThrow();
});

test.each([400, 404, 429, 500, 503])("status %i is a failure", async (status) => {
  const receiver = await sink(answering(() => status, { "retry-after": "7" }));
  expect(await attempt(receiver.url)).toEqual({
    kind: "failed",
    statusCode: status,
    error: `status ${status}`,
    retryAfterMs: 7_000,
  });
});

test("410 says that no more is wanted", async () => {
  const receiver = await sink(answering(() => 410));
  expect(await attempt(receiver.url)).toEqual({ kind: "unwanted", statusCode: 410 });
});

test.each([301, 302, 303, 307, 308])("a redirect (%i) is a failure, and not followed", async (status) => {
  const elsewhere = await sink(answering(() => 200));
  const receiver = await sink(answering(() => status, { location: elsewhere.url }));
  expect(await attempt(receiver.url)).toMatchObject({ kind: "failed", statusCode: status });
  expect(receiver.received).toHaveLength(1);
  expect(elsewhere.received).toEqual([]);
});

test("a private address is not connected to, whether written out or behind a name", async () => {
  const receiver = await sink(answering(() => 200));
  const refused = {
    kind: "failed",
    statusCode: null,
    error: "the receiver's address is not of the public internet",
  };
  const strict = { privateReceivers: "refused" } as const;
  expect(await attempt(receiver.url, strict)).toMatchObject(refused);
  const named = `http://receiver.example:${receiver.port}/`;
  expect(await attempt(named, { ...strict, resolve: resolverOf([LOOPBACK]) })).toMatchObject(refused);
  const mixed = resolverOf([{ address: "93.184.215.14", family: 4 }, LOOPBACK]);
  expect(await attempt(named, { ...strict, resolve: mixed })).toMatchObject(refused);
  const mapped = resolverOf([{ address: "::ffff:127.0.0.1", family: 6 }]);
  expect(await attempt(named, { ...strict, resolve: mapped })).toMatchObject(refused);
  expect(receiver.received).toEqual([]);
});

test("the address that was looked at is the one that is connected to; the name stays in Host", async () => {
  const receiver = await sink(answering(() => 200));
  const resolve = resolverOf([LOOPBACK]);
  // No resolver of this machine knows the name: only the given address leads there.
  const url = `http://receiver.invalid:${receiver.port}/hook?job=7`;
  expect(await attempt(url, { resolve })).toMatchObject({ kind: "delivered" });
  expect(resolve.asked).toEqual(["receiver.invalid"]);
  expect(receiver.received[0]).toMatchObject({
    path: "/hook?job=7",
    headers: { host: `receiver.invalid:${receiver.port}` },
  });
});

test("over TLS the name is asked for, not the address", async () => {
  const asked: string[] = [];
  const server = createServer({
    SNICallback: (name, done) => {
      asked.push(name);
      done(new Error("this test has no certificate"));
    },
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const reply = await attempt(`https://receiver.invalid:${port}/`, { resolve: resolverOf([LOOPBACK]) });
  expect(reply).toMatchObject({ kind: "failed", statusCode: null });
  expect(asked).toEqual(["receiver.invalid"]);
  server.close();
});

test("a name that nobody knows and a port that nobody listens at are failures, told without the URL", async () => {
  const unknown = async () => {
    throw Object.assign(new Error("getaddrinfo ENOTFOUND secret.example"), { code: "ENOTFOUND" });
  };
  expect(await attempt("http://secret.example/", { resolve: unknown })).toEqual({
    kind: "failed",
    statusCode: null,
    error: "the connection failed: ENOTFOUND",
    retryAfterMs: null,
  });
  const gone = await startWebhookSink(answering(() => 200));
  await gone[Symbol.asyncDispose]();
  expect(await attempt(gone.url)).toMatchObject({ error: "the connection failed: ECONNREFUSED" });
});

test("an answer without end is not read to its end", async () => {
  const receiver = await sink((response) => {
    response.writeHead(200);
    const write = () => {
      while (!response.destroyed && response.write("x".repeat(65_536)));
    };
    response.on("drain", write);
    write();
  });
  expect(await attempt(receiver.url)).toEqual({ kind: "delivered", statusCode: 200 });
});

test("an attempt that is given up ends at once, whatever it waits for", async () => {
  for (const resolve of [resolveName, () => new Promise<never>(() => {})]) {
    const giveUp = new AbortController();
    const receiver = await sink(() => giveUp.abort(new Error("given up")));
    const given = attempt(receiver.url.replace("127.0.0.1", "localhost"), {
      signal: giveUp.signal,
      resolve: resolve === resolveName ? resolverOf([LOOPBACK]) : resolve,
    });
    if (resolve !== resolveName) giveUp.abort(new Error("given up"));
    await expect(given).rejects.toThrow("given up");
  }
});
