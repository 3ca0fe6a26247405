import { request as httpRequest, type RequestOptions } from "node:http";
import { dockerHosts } from "./docker-config.ts";

export type EngineReply = { status: number; body: string };

/** A Docker engine that answered, spoken to by its HTTP API. `host` has DOCKER_HOST's form. */
export interface DockerEngine {
  readonly host: string;
  readonly version: string;
  /** `body`, when given, travels as JSON. Rejects when the engine is gone or `timeoutMs` (10 s) have passed. */
  request(
    method: string,
    path: string,
    options?: { body?: unknown; timeoutMs?: number },
  ): Promise<EngineReply>;
}

export type EngineSearch = { engine: DockerEngine } | { engine: null; whyNot: string };

/** An engine on a local socket answers within milliseconds; a test run must not wait for one that does not. */
const PING_TIMEOUT_MS = 1_000;
const REQUEST_TIMEOUT_MS = 10_000;

/** Asks every place at once: without an engine the answer takes no longer than one ping. */
export async function findDockerEngine(hosts: readonly string[] = dockerHosts()): Promise<EngineSearch> {
  const searches = await Promise.all(hosts.map(askHost));
  const found = searches.find((search) => search.engine !== null);
  if (found) return found;
  const [first] = searches;
  const explicit = hosts.length === 1 && first?.engine === null;
  return { engine: null, whyNot: explicit ? first.whyNot : "no Docker engine answers" };
}

async function askHost(host: string): Promise<EngineSearch> {
  const address = parseHost(host);
  if (address === null) {
    return { engine: null, whyNot: `DOCKER_HOST ${host} is neither unix:///path nor tcp://host:port` };
  }
  const request: DockerEngine["request"] = (method, path, { body, timeoutMs = REQUEST_TIMEOUT_MS } = {}) =>
    exchange({ ...address, method, path }, body, timeoutMs);
  try {
    const reply = await request("GET", "/version", { timeoutMs: PING_TIMEOUT_MS });
    if (reply.status !== 200) return { engine: null, whyNot: `${host} answers with status ${reply.status}` };
    const { Version: version } = JSON.parse(reply.body) as { Version: string };
    return { engine: { host, version, request } };
  } catch {
    return { engine: null, whyNot: `no Docker engine answers on ${host}` };
  }
}

function parseHost(host: string): RequestOptions | null {
  if (host.startsWith("unix://")) return { socketPath: host.slice("unix://".length) };
  if (!host.startsWith("tcp://") || !URL.canParse(host)) return null;
  const { hostname, port } = new URL(host);
  return { hostname, port: port || "2375" };
}

function exchange(address: RequestOptions, body: unknown, timeoutMs: number): Promise<EngineReply> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        ...address,
        // No keep-alive: a pooled connection would outlive the test that asked.
        agent: false,
        headers: body === undefined ? {} : { "content-type": "application/json" },
        signal: AbortSignal.timeout(timeoutMs),
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") }),
        );
      },
    );
    request.on("error", reject);
    request.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

const PULL_TIMEOUT_MS = 120_000;

/** Pulls the image unless the engine holds it. false: it can't be had. */
export async function ensureImage(engine: DockerEngine, image: string): Promise<boolean> {
  if (await hasImage(engine, image)) return true;
  try {
    // A stream of progress lines: a failed pull may still carry status 200.
    await engine.request("POST", `/images/create?fromImage=${encodeURIComponent(image)}`, {
      timeoutMs: PULL_TIMEOUT_MS,
    });
  } catch {
    return false;
  }
  return hasImage(engine, image);
}

export async function hasImage(engine: DockerEngine, image: string): Promise<boolean> {
  const reply = await engine.request("GET", `/images/${encodeURIComponent(image)}/json`);
  return reply.status === 200;
}
