// The only file of this package that reads and writes `process.env`.

import { homedir } from "node:os";
import { join } from "node:path";

/** Where an engine may listen, the most explicit place first. DOCKER_HOST set means: there and nowhere else. */
export function dockerHosts(): string[] {
  const { DOCKER_HOST, XDG_RUNTIME_DIR } = process.env;
  if (DOCKER_HOST) return [DOCKER_HOST];
  return [
    "/var/run/docker.sock",
    ...(XDG_RUNTIME_DIR ? [join(XDG_RUNTIME_DIR, "docker.sock")] : []),
    join(homedir(), ".docker", "run", "docker.sock"),
    join(homedir(), ".docker", "desktop", "docker.sock"),
  ].map((path) => `unix://${path}`);
}

/**
 * Points testcontainers at the engine we found. Its reaper image is not needed: every container that we start is
 * labelled with the run, and the end of the run removes what is left.
 */
export function pointTestcontainersAt(host: string): void {
  process.env.DOCKER_HOST = host;
  process.env.TESTCONTAINERS_RYUK_DISABLED ??= "true";
  if (host.startsWith("unix:")) process.env.TESTCONTAINERS_HOST_OVERRIDE ??= "127.0.0.1";
}

/** The image the tests' Redis runs from; null lets the choice fall on an official one. */
export function redisTestImage(): string | null {
  return process.env.REDIS_TEST_IMAGE || null;
}

/** What an earlier process of this test run decided about Redis (`docker-redis-choice.ts` knows the form). */
export function readRedisDecision(): string | null {
  return process.env.QUERN_TEST_REDIS || null;
}

/** Seen by this process and by those it starts from now on. */
export function writeRedisDecision(decision: string): void {
  process.env.QUERN_TEST_REDIS = decision;
}

/** Names this test run; the runner sets it so that it finds what a test left behind. */
export function testRunId(): string {
  process.env.QUERN_TEST_RUN ||= `run-${process.pid}-${Date.now().toString(36)}`;
  return process.env.QUERN_TEST_RUN;
}

/** The environment of a command that a test runs: this process's own and `extra`. */
export function environmentWith(extra: Record<string, string>): NodeJS.ProcessEnv {
  return { ...process.env, ...extra };
}
