import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { chooseRedis, describeRedisChoice } from "./docker-redis-choice.ts";

let directory = "";
let socket = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "quern-choice-"));
  socket = join(directory, "docker.sock");
  vi.stubEnv("DOCKER_HOST", `unix://${socket}`);
  vi.stubEnv("QUERN_TEST_REDIS", "");
  vi.stubEnv("REDIS_TEST_IMAGE", "");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await rm(directory, { recursive: true });
});

/** An engine's API as far as the choice asks it: its version, which images it holds, and pulls that all fail. */
function engineHolding(...images: string[]): RequestListener {
  return (request, response) => {
    const image = /^\/images\/(.+)\/json$/.exec(request.url ?? "")?.[1];
    if (request.url === "/version") response.end(JSON.stringify({ Version: "99.1" }));
    else if (image !== undefined && images.includes(decodeURIComponent(image))) response.end("{}");
    else response.writeHead(404).end();
  };
}

async function listen(listener: RequestListener): Promise<AsyncDisposable> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return {
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test("without an engine: a spawned server, decided and printed once", async () => {
  const print = vi.spyOn(console, "log").mockImplementation(() => {});
  const choice = await chooseRedis();
  expect(choice).toMatchObject({ kind: "process", why: `no Docker engine answers on unix://${socket}` });
  expect(await chooseRedis()).toEqual(choice);
  expect(print.mock.calls).toEqual([[describeRedisChoice(choice)]]);
  expect(describeRedisChoice(choice)).toMatch(
    /^Redis: spawned (redis|valkey)-server \d+\.\d+\.\d+ \(no Docker engine/,
  );
});

test("with an engine: the official image it holds", async () => {
  vi.spyOn(console, "log").mockImplementation(() => {});
  await using _engine = await listen(engineHolding("redis:8"));
  const choice = await chooseRedis();
  expect(describeRedisChoice(choice)).toBe("Redis: container redis:8 (Docker 99.1 answers)");
});

test("REDIS_TEST_IMAGE names the image, official ones or not", async () => {
  vi.spyOn(console, "log").mockImplementation(() => {});
  vi.stubEnv("REDIS_TEST_IMAGE", "own/redis:1");
  await using _engine = await listen(engineHolding("redis:7-alpine", "own/redis:1"));
  expect(await chooseRedis()).toMatchObject({ kind: "container", image: "own/redis:1" });
});

test("an image that can't be pulled: a spawned server, and why", async () => {
  vi.spyOn(console, "log").mockImplementation(() => {});
  await using _engine = await listen(engineHolding());
  expect(await chooseRedis()).toMatchObject({
    kind: "process",
    why: "Docker 99.1 answers, but redis:7-alpine can't be pulled",
  });
});

test("no engine and no server on PATH: an error that names the cure", async () => {
  vi.stubEnv("PATH", directory);
  await expect(chooseRedis()).rejects.toThrow("apt-get install redis-server");
});
