import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { findDockerEngine } from "./docker-engine.ts";

async function listenOn(path: string, listener: RequestListener): Promise<AsyncDisposable> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function socketDir(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), "quern-engine-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

test("finds the socket that answers among those that do not", async () => {
  await using dir = await socketDir();
  const socket = join(dir.path, "docker.sock");
  await using _server = await listenOn(socket, (_request, response) =>
    response.end(JSON.stringify({ Version: "99.1" })),
  );
  const { engine } = await findDockerEngine([`unix://${dir.path}/absent.sock`, `unix://${socket}`]);
  expect(engine).toMatchObject({ host: `unix://${socket}`, version: "99.1" });
});

test("says which host it asked when DOCKER_HOST named one", async () => {
  await using dir = await socketDir();
  const host = `unix://${dir.path}/absent.sock`;
  expect(await findDockerEngine([host])).toEqual({
    engine: null,
    whyNot: `no Docker engine answers on ${host}`,
  });
  expect(await findDockerEngine(["ssh://somewhere"])).toEqual({
    engine: null,
    whyNot: "DOCKER_HOST ssh://somewhere is neither unix:///path nor tcp://host:port",
  });
});

test("gives up within 1.5 s on a socket that never answers", async () => {
  await using dir = await socketDir();
  const socket = join(dir.path, "docker.sock");
  await using _server = await listenOn(socket, () => {});
  const startedAtMs = performance.now();
  const { engine } = await findDockerEngine([`unix://${socket}`]);
  expect(engine).toBeNull();
  expect(performance.now() - startedAtMs).toBeLessThan(1_500);
});

test("an engine that refuses is not an engine", async () => {
  await using dir = await socketDir();
  const socket = join(dir.path, "docker.sock");
  await using _server = await listenOn(socket, (_request, response) => {
    response.statusCode = 403;
    response.end();
  });
  expect(await findDockerEngine([`unix://${socket}`])).toEqual({
    engine: null,
    whyNot: `unix://${socket} answers with status 403`,
  });
});
