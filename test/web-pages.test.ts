import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type ClusterProcess, startProcess, stopProcess, until } from "@quern/testing/cluster";
import { freePort } from "@quern/testing/free-port";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

// Promise: a page of a stranger that a browser on this machine shows can't reach a gateway without API keys, by whichever way
// it is published; those who may reach it can.

let redis: RedisServer;
let folder: string;
beforeAll(async () => {
  redis = await startRedis();
  folder = await mkdtemp(join(tmpdir(), "quern-web-pages-"));
});
afterAll(async () => {
  await redis?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

interface Gateway {
  port: number;
  process: ClusterProcess;
}

async function startGateway(env: Record<string, string>): Promise<Gateway> {
  const port = await freePort();
  const started = await startProcess("gateway", {
    REDIS_URL: redis.url,
    QUERN_FILES: folder,
    QUERN_HOST: "127.0.0.1",
    QUERN_PORT: String(port),
    ...env,
  });
  await until(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok);
  return { port, process: started };
}

interface Call {
  method?: "GET" | "POST";
  path?: string;
  headers?: Record<string, string>;
  body?: string;
}

/** As a browser sends it, which `fetch` would not: with any Host. */
async function call(
  port: number,
  { method = "GET", path = "/v1/jobs", headers = {}, body }: Call,
): Promise<{ status: number; text: string }> {
  const sent = request({ host: "127.0.0.1", port, method, path, headers, agent: false });
  sent.end(body);
  const [reply] = (await once(sent, "response")) as [IncomingMessage];
  return { status: reply.statusCode ?? 0, text: await text(reply) };
}

const upload = {
  method: "POST" as const,
  path: "/v1/files",
  body: '--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b--\r\n',
};
const form = { "content-type": "multipart/form-data; boundary=b" };
const plain = { "content-type": "text/plain" };
const json = { "content-type": "application/json" };

const rebound: [string, Call][] = [
  ["reading by DNS rebinding", { headers: { host: "evil.example" } }],
  [
    "submitting by DNS rebinding",
    { method: "POST", headers: { ...json, host: "evil.example", origin: "http://evil.example" }, body: "{}" },
  ],
  ["a name that begins with this machine's", { headers: { host: "127.0.0.1.evil.example:8080" } }],
  ["a name that begins with the service's", { headers: { host: "gateway.evil.example:8080" } }],
];
const forged: [string, Call][] = [
  ["an upload by a form", { ...upload, headers: { ...form, origin: "https://evil.example" } }],
  [
    "a cancel without a body",
    { method: "POST", path: "/v1/jobs/job_x/cancel", headers: { origin: "https://evil.example" } },
  ],
  [
    "a chat as text",
    {
      method: "POST",
      path: "/v1/chat/completions",
      headers: { ...plain, origin: "https://evil.example" },
      body: "{}",
    },
  ],
  ["a page without an origin", { ...upload, headers: { ...form, origin: "null" } }],
  ["a page from an address", { ...upload, headers: { ...form, origin: "http://203.0.113.5" } }],
  [
    "a page from another port of the address",
    { ...upload, headers: { ...form, host: "172.18.0.4:8080", origin: "http://172.18.0.4" } },
  ],
];

describe.each([
  ["in a container", { QUERN_ALLOW_UNAUTHENTICATED: "container" }],
  ["on loopback", {}],
] as [string, Record<string, string>][])("a gateway %s", (_where, env) => {
  let gateway: Gateway;
  beforeAll(async () => {
    gateway = await startGateway({ ...env, QUERN_ALLOWED_HOSTS: "quern.example.com, inference" });
  });
  afterAll(() => stopProcess(gateway.process));

  test.each([...rebound, ...forged])("refuses %s, and names the cure", async (_way, sent) => {
    const { status, text: body } = await call(gateway.port, sent);
    expect(status, body).toBe(403);
    expect(JSON.parse(body)).toMatchObject({ error: { code: "forbidden" } });
    expect(body).toContain("QUERN_ALLOWED_HOSTS");
  });

  test.each([
    "127.0.0.1:8080",
    "localhost:9090",
    "[::1]:8080",
    "quern.example.com",
    "QUERN.example.com:443",
    "inference:8080",
  ])("answers to the name %s", async (host) => {
    expect((await call(gateway.port, { headers: { host } })).status).toBe(200);
  });

  test.each(["http://localhost:3000", "https://quern.example.com"])(
    "answers a page of %s",
    async (origin) => {
      expect((await call(gateway.port, { ...upload, headers: { ...form, origin } })).status).toBe(400);
    },
  );
});

describe("a gateway in a container", () => {
  let gateway: Gateway;
  beforeAll(async () => {
    gateway = await startGateway({ QUERN_ALLOW_UNAUTHENTICATED: "container" });
  });
  afterAll(() => stopProcess(gateway.process));

  test.each(["gateway:8080", "host.docker.internal:8080", "172.18.0.4:8080", "[fd00::4]:8080"])(
    "answers its neighbours, which call it %s",
    async (host) => {
      expect((await call(gateway.port, { headers: { host } })).status).toBe(200);
    },
  );

  test("answers a page that it serves itself under an address", async () => {
    const headers = { ...form, host: "172.18.0.4:8080", origin: "http://172.18.0.4:8080" };
    expect((await call(gateway.port, { ...upload, headers })).status).toBe(400);
  });
});

test.each(["http://quern.example.com", "quern.example.com:8080", "*", "two words"])(
  "a gateway does not start with the allowed host '%s'",
  async (name) => {
    await expect(startGateway({ QUERN_ALLOWED_HOSTS: name })).rejects.toThrow("QUERN_ALLOWED_HOSTS");
  },
);
