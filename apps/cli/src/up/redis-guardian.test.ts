import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isSupervisedMessage } from "@quern/shared/process/supervised";
import { until } from "@quern/testing/cluster";
import { freePort } from "@quern/testing/free-port";
import { afterEach, beforeEach, expect, test } from "vitest";

let folder: string;
let guardians: ChildProcess[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-guardian-"));
});
afterEach(async () => {
  for (const guardian of guardians) {
    if (guardian.exitCode !== null || guardian.signalCode !== null) continue;
    guardian.kill("SIGTERM");
    await once(guardian, "exit");
  }
  guardians = [];
  await rm(folder, { recursive: true, force: true });
});

/** `event`: the first of the two that happens. */
async function startGuardian(
  command = "redis-server",
): Promise<{ child: ChildProcess; output: () => string; event: Promise<"ready" | "waits"> }> {
  const config = join(folder, "redis.conf");
  const lines = [
    "bind 127.0.0.1",
    `port ${await freePort()}`,
    `dir ${folder}`,
    `pidfile ${folder}/redis.pid`,
    "appendonly yes",
    "set-proc-title no",
  ];
  await writeFile(config, `${lines.join("\n")}\n`);
  const child = fork(new URL("./redis-guardian.ts", import.meta.url), [command, config], {
    execArgv: [],
    stdio: ["ignore", "inherit", "pipe", "ipc"],
  });
  guardians.push(child);
  let output = "";
  const event = new Promise<"ready" | "waits">((resolve) => {
    child.on("message", (message) => {
      if (isSupervisedMessage(message) && message.type === "ready") resolve("ready");
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (text.includes("Waiting for the Redis of an earlier Quern")) resolve("waits");
    });
  });
  return { child, output: () => output, event };
}

async function isRunning(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return status !== "" && !/^State:\s*Z/m.test(status);
}

test("no second Redis starts on the append-only file while that of a killed guardian still runs", async () => {
  const first = await startGuardian();
  expect(await first.event).toBe("ready");
  const redis = Number(await readFile(join(folder, "redis.pid"), "utf8"));
  // A Redis that is slow to end, such as on a slow disk.
  process.kill(redis, "SIGSTOP");
  try {
    first.child.kill("SIGKILL");
    await once(first.child, "exit");

    const second = await startGuardian();
    expect(await second.event).toBe("waits");
    expect(await isRunning(redis)).toBe(true);
    const ready = new Promise((resolve) => {
      second.child.on("message", (message) => isSupervisedMessage(message) && resolve(message));
    });
    process.kill(redis, "SIGCONT");
    process.kill(redis, "SIGTERM");
    expect(await ready).toEqual({ type: "ready" });
    expect(await isRunning(redis)).toBe(false);
  } finally {
    if (await isRunning(redis)) process.kill(redis, "SIGKILL");
    await until(async () => !(await isRunning(redis)));
  }
});

test("a Redis that does not start is one clear reason, and leaves nothing open", async () => {
  const { child, output } = await startGuardian("false");
  const said = once(child, "message");
  const closed = once(child, "close");
  expect((await said)[0]).toEqual({ type: "fatal", message: "Redis does not start: exit code 1" });
  expect(await closed).toEqual([1, null]);
  expect(output()).toBe("");
});
