import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { QuernError } from "@quern/shared/contract/errors";
import { aborted } from "@quern/shared/process/aborted";
import { runMain } from "@quern/shared/process/main";
import { isSupervised, tellReady } from "@quern/shared/process/supervised";
import { Redis } from "ioredis";
import { claimAppendOnlyFile } from "./claim-data-folder.ts";
import { RestartDelay } from "./restart-delay.ts";

// The process between the supervisor and its Redis. It starts Redis again when it dies, on the same port and data, and
// ends it when the supervisor stops or is gone: Redis itself would notice neither.
//   usage: redis-guardian.ts <redis-server> <redis.conf>

/** When the supervisor was killed, gateway and workers drain now: they get this long to write their last results. */
const LAST_WRITES_MS = 3_000;
const KEPT_OUTPUT_CHARACTERS = 2_000;
const STOP_TIMEOUT_MS = 5_000;
const SETPRIV = "/usr/bin/setpriv";

const [command = "redis-server", configFile = "redis.conf"] = process.argv.slice(2);

await runMain(async (stop) => {
  // Never released: this process and its Redis hold it until both have ended.
  const { fd: lockFd } = await claimAppendOnlyFile(dirname(configFile), {
    signal: stop,
    onWait: () => console.error("Waiting for the Redis of an earlier Quern to end"),
  });
  const delay = new RestartDelay();
  for (let first = true; !stop.aborted; first = false) {
    const startedAtMs = performance.now();
    const server = await startServer(command, configFile, lockFd);
    if (first) {
      const decided = new AbortController();
      const answering = untilAnswering(configFile, AbortSignal.any([stop, decided.signal]));
      const failure = await Promise.race([server.exited, answering]);
      decided.abort();
      if (failure !== null) throw new QuernError("redis_unsuitable", `Redis does not start: ${failure}`);
      tellReady();
    }
    const died = await Promise.race([server.exited, aborted(stop).then(() => null)]);
    if (died === null) {
      if (!isSupervised()) await sleep(LAST_WRITES_MS);
      await stopServer(server);
      return;
    }
    console.error(`Redis died (${died}); starting it again on the same port and data`);
    const delayMs = delay.afterLifeOf(performance.now() - startedAtMs);
    await sleep(delayMs, undefined, { signal: stop }).catch(() => {});
  }
});

interface Server {
  child: ChildProcess;
  exited: Promise<string>;
}

async function startServer(command: string, configFile: string, lockFd: number): Promise<Server> {
  // Where util-linux is there, the kernel ends Redis should this process be killed as well.
  const bound = existsSync(SETPRIV) ? [SETPRIV, "--pdeathsig", "TERM"] : [];
  const [program = command, ...args] = [...bound, command, configFile];
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe", lockFd] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (chunk: string) => {
      output = (output + chunk).slice(-KEPT_OUTPUT_CHARACTERS);
    });
  }
  await once(child, "spawn");
  const exited = once(child, "exit").then(([code, signal]) => {
    // Who is killed says nothing of it.
    if (signal !== null) return signal;
    return [`exit code ${code}`, output.trim().split("\n").at(-1) ?? ""]
      .filter((part) => part !== "")
      .join(": ");
  });
  return { child, exited };
}

/** null once it has loaded its data and answers. */
async function untilAnswering(configFile: string, stop: AbortSignal): Promise<null> {
  const config = await readFile(configFile, "utf8");
  const port = Number(/^port (\d+)$/m.exec(config)?.[1]);
  const password = /^requirepass (\S+)$/m.exec(config)?.[1] ?? "";
  const redis = new Redis({ port, password, retryStrategy: () => 50, maxRetriesPerRequest: null });
  // Refused until it listens.
  redis.on("error", () => {});
  try {
    await Promise.race([redis.ping(), aborted(stop)]);
    return null;
  } finally {
    redis.disconnect();
  }
}

async function stopServer({ child, exited }: Server): Promise<void> {
  const hardStop = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  child.kill("SIGTERM");
  await exited;
  clearTimeout(hardStop);
}
