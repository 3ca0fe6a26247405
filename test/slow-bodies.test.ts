import { once } from "node:events";
import { Agent, type IncomingMessage, request } from "node:http";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";

// Promise: a caller that sends its body slowly, or not to its end, does not hold a connection for long, and one that sends a file as fast as
// it can has the time that it needs. Idle connections outlive those of common load balancers, and not the gateway.

const TIME_LIMIT_MS = 2_000;

let cluster: Cluster;
let port: number;
beforeAll(async () => {
  const env = { QUERN_BODY_TIMEOUT_SECONDS: String(TIME_LIMIT_MS / 1_000), QUERN_MAX_FILE_BYTES: "100000" };
  cluster = await startCluster({ workers: [], schedulers: [], env });
  port = Number(new URL(cluster.url).port);
  await until(async () => (await fetch(`${cluster.url}/readyz`)).ok);
});
afterAll(() => cluster?.[Symbol.asyncDispose]());

interface Raw {
  socket: Socket;
  /** What came so far. */
  received(): string;
  closed: Promise<unknown>;
}

/** Sends the beginning of a request, and says what comes of it. */
function open(head: string[], body = ""): Raw {
  const socket = connect(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  // A reset is an end like any other.
  socket.on("error", () => {});
  socket.write([...head, "host: localhost", "", body].join("\r\n"));
  return { socket, received: () => text, closed: new Promise((resolve) => socket.once("close", resolve)) };
}

/** Goes on with a byte now and then. */
function trickle(head: string[], body: string): Raw {
  const raw = open(head, body);
  const timer = setInterval(() => raw.socket.write(" "), 50);
  raw.socket.once("close", () => clearInterval(timer));
  return raw;
}

const json = (path: string) => [
  `POST ${path} HTTP/1.1`,
  "content-type: application/json",
  "content-length: 1000",
];

test.each(["/v1/chat/completions", "/v1/jobs", "/v1/batches"])(
  "a body for %s that trickles in is given up",
  async (path) => {
    const { received, closed } = trickle(json(path), '{"model":');
    await closed;
    expect(received()).toMatch(/^HTTP\/1\.1 408 /);
    expect(received()).toContain('"request_timeout"');
  },
);

test("so is one that its route does not read, and its caller is answered first", async () => {
  const { received, closed } = trickle(["GET /healthz HTTP/1.1", "content-length: 1000"], "some of it");
  await closed;
  expect(received()).toMatch(/^HTTP\/1\.1 200 /);
});

test("so is the rest of a file that was refused", async () => {
  const form = ["content-type: multipart/form-data; boundary=b", "content-length: 100000000"];
  const { received, closed } = trickle(["POST /v1/files HTTP/1.1", ...form], "--b\r\n");
  await closed;
  expect(received()).toMatch(/^HTTP\/1\.1 413 /);
});

test("so is a file whose caller falls silent", async () => {
  const form = ["content-type: multipart/form-data; boundary=b", "content-length: 1000"];
  await open(["POST /v1/files HTTP/1.1", ...form], "--b\r\n").closed;
});

test("a file that takes longer arrives whole, while its bytes move", async () => {
  const sent = request({ host: "127.0.0.1", port, method: "POST", path: "/v1/files", agent: false });
  sent.setHeader("content-type", "multipart/form-data; boundary=b");
  const answered = once(sent, "response");
  sent.write('--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n');
  sent.write('--b\r\ncontent-disposition: form-data; name="file"; filename="f.jsonl"\r\n\r\n');
  for (let passedMs = 0; passedMs < 2 * TIME_LIMIT_MS; passedMs += 100) {
    sent.write("{}\n");
    await sleep(100);
  }
  sent.end("\r\n--b--\r\n");
  const [reply] = (await answered) as [IncomingMessage];
  reply.resume();
  expect(reply.statusCode).toBe(200);
});

test("a connection whose bodies came in time serves on after the limit", async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  const ports = new Set<number | undefined>();
  const beganMs = performance.now();
  while (performance.now() - beganMs < 2 * TIME_LIMIT_MS) {
    const sent = request({ agent, port, host: "127.0.0.1", method: "POST", path: "/v1/jobs" });
    sent.setHeader("content-type", "application/json").end("{}");
    const [reply] = (await once(sent, "response")) as [IncomingMessage];
    expect(reply.statusCode).toBe(400);
    ports.add(reply.socket.localPort);
    await once(reply.resume(), "end");
  }
  expect(ports.size).toBe(1);
});

test("an idle connection is kept for 75 s, and closed at once when the gateway stops", async () => {
  const { received, closed } = open(["GET /healthz HTTP/1.1"], "\r\n");
  await until(async () => received().includes('"ok"'));
  expect(received()).toContain("Keep-Alive: timeout=75");
  const beganMs = performance.now();
  expect(await cluster.gateways[0]?.kill("SIGTERM")).toBe(0);
  await closed;
  expect(performance.now() - beganMs).toBeLessThan(10_000);
});
