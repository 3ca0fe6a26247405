import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "@quern/testing/cluster";
import { freePort } from "@quern/testing/free-port";
import { writeRandomModel } from "@quern/testing/gguf/random-model";
import { type ChatCompletion, callApi } from "@quern/testing/jobs-api";
import { startRedis } from "@quern/testing/redis-server";
import { afterEach, beforeEach, expect, test } from "vitest";

// Promise: one command runs all of it, says clearly what is wrong, and leaves nothing behind, however it ends.

const ROOT = join(import.meta.dirname, "..");
let folder: string;
let started: Up[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-up-"));
});
afterEach(async () => {
  for (const up of started) up.child.kill("SIGKILL");
  for (const up of started) await until(async () => (await up.processes()).length === 0);
  started = [];
  await rm(folder, { recursive: true, force: true });
});

interface Up {
  child: ChildProcess;
  output: () => string;
  exited: Promise<unknown[]>;
  /** Every process that it started and that is still there, itself included. */
  processes: () => Promise<{ pid: number; command: string }[]>;
}

let nextMark = 1;

/** `npm start` without npm: the supervisor itself. */
function startUp(args: string[], env: Record<string, string> = {}): Up {
  const mark = `QUERN_UP_TEST=${process.pid}-${nextMark++}`;
  const [name = "", value = ""] = mark.split("=");
  const child = spawn(
    process.execPath,
    [join(ROOT, "apps/cli/src/main.ts"), "up", "--data-dir", folder, ...args],
    {
      cwd: ROOT,
      env: { ...process.env, [name]: value, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
    });
  }
  const up = {
    child,
    output: () => output,
    exited: once(child, "exit"),
    processes: () => processesMarked(mark),
  };
  started.push(up);
  return up;
}

async function startReady(args: string[] = []): Promise<Up & { url: string }> {
  const port = await freePort();
  const up = startUp(["--port", String(port), "--threads", "1", ...args]);
  const url = `http://127.0.0.1:${port}`;
  await until(async () => {
    if (up.child.exitCode !== null) throw new Error(`it ended:\n${up.output()}`);
    return up.output().includes(`Quern is ready on ${url}`);
  });
  return { ...up, url };
}

async function processesMarked(mark: string): Promise<{ pid: number; command: string }[]> {
  const pids = (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
      const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      return environment.split("\0").includes(mark) && command !== "" ? { pid, command } : null;
    }),
  );
  return found.filter((one) => one !== null);
}

function ask(url: string): Promise<ChatCompletion> {
  return callApi<ChatCompletion>(`${url}/v1/chat/completions`, {
    body: { model: "tiny-qwen3", messages: [{ role: "user", content: "What is the capital of France?" }] },
  });
}

/** A file's id. */
async function upload(url: string, content: string): Promise<string> {
  const form = new FormData();
  form.append("purpose", "batch");
  form.append("file", new Blob([content]), "requests.jsonl");
  const reply = await fetch(`${url}/v1/files`, { method: "POST", body: form });
  return ((await reply.json()) as { id: string }).id;
}

test("starts, answers, keeps its jobs and files over a restart, and stops with everything it started", async () => {
  const first = await startReady(["--workers", "2"]);
  expect((await ask(first.url)).choices[0]?.message.content).toContain("Paris");
  expect(first.output().match(/^ {2}curl /gm)).toHaveLength(4);
  expect(first.output()).toMatch(/model loaded.*weights .*, KV .* for 8 × 1,024 tokens, compute .* to spare/);
  expect((await callApi<{ data: object[] }>(`${first.url}/v1/workers`)).data).toHaveLength(2);
  // Gateway, scheduler, guardian, Redis, two workers with an engine and a preparer each, and itself.
  expect(await first.processes()).toHaveLength(11);
  const file = await upload(first.url, '{"custom_id":"1"}');
  expect(await readdir(join(folder, "files", "default"))).toEqual([file]);
  first.child.kill("SIGTERM");
  expect(await first.exited).toEqual([0, null]);
  expect(await first.processes()).toEqual([]);

  const second = await startReady();
  const content = await fetch(`${second.url}/v1/files/${file}/content`);
  expect(await content.text()).toBe('{"custom_id":"1"}');
  const { data } = await callApi<{ data: { status: string }[] }>(`${second.url}/v1/jobs`);
  expect(data).toMatchObject([{ status: "completed" }]);
});

test.each(["alone", "together with its Redis"])(
  "a supervisor that is killed %s takes everything along",
  async (how) => {
    const up = await startReady();
    const redis = (await up.processes()).filter(({ command }) => command.includes("redis"));
    up.child.kill("SIGKILL");
    if (how !== "alone") for (const { pid } of redis) process.kill(pid, "SIGKILL");
    await until(async () => (await up.processes()).length === 0);
  },
);

test("what dies is started again", async () => {
  const up = await startReady();
  for (const part of [
    /gateway\/src\/main\.ts/,
    /worker\/src\/main\.ts/,
    /scheduler\/src\/main\.ts/,
    /^redis-server/,
    /redis-guardian\.ts/,
  ]) {
    const victim = await until(async () => (await up.processes()).find(({ command }) => part.test(command)));
    process.kill(victim.pid, "SIGKILL");
    await until(async () => !(await up.processes()).some(({ pid }) => pid === victim.pid));
    const answer = await until(() => ask(up.url).catch(() => null));
    expect(answer.choices[0]?.message.content).toContain("Paris");
  }
});

test("a second one on the same data is refused", async () => {
  const first = await startReady();
  const second = startUp(["--port", String(await freePort())]);
  expect(await second.exited).toEqual([1, null]);
  expect(lines(second)).toEqual([
    expect.stringMatching(/another Quern \(process \d+ on \S+\) uses the data directory.*--data-dir/),
  ]);
  expect((await ask(first.url)).choices[0]?.message.content).toContain("Paris");
});

test("a Redis of one's own is used, and warned about", async () => {
  await using redis = await startRedis({ appendOnly: false });
  const port = await freePort();
  const up = startUp(["--port", String(port)], { REDIS_URL: redis.url });
  await until(async () => up.output().includes("Quern is ready"));
  expect(up.output()).toContain("keeps no append-only file");
  expect((await up.processes()).some(({ command }) => command.includes("redis"))).toBe(false);
  up.child.kill("SIGINT");
  expect(await up.exited).toEqual([0, null]);
});

test.each<[string, () => Promise<{ args: string[]; env?: Record<string, string> }>, RegExp]>([
  [
    "a model that nobody knows",
    async () => ({ args: ["--model", "nope"] }),
    /no model "nope": name one of the \d+ of the catalogue, like .*npx quern models list/,
  ],
  [
    "a model file that is not there",
    async () => ({ args: ["--model", "./none.gguf"] }),
    /no model file .*none\.gguf/,
  ],
  [
    "a file that is no model",
    async () => {
      await writeFile(join(folder, "bad.gguf"), "garbage");
      return { args: ["--model", join(folder, "bad.gguf")] };
    },
    /bad\.gguf is not a GGUF file/,
  ],
  [
    "a model that does not fit",
    async () => {
      await writeRandomModel(join(folder, "wide.gguf"), { contextLength: 2 ** 24 });
      const size = ["--slots", "256", "--context-tokens", String(2 ** 24), "--gpu", "cpu"];
      // Without the lines of gateway and scheduler, which start and stop meanwhile.
      return { args: ["--model", join(folder, "wide.gguf"), ...size], env: { QUERN_LOG_LEVEL: "error" } };
    },
    /the model does not fit: .*too little\. It fits with --slots \d+/,
  ],
  [
    "a GPU that is not there",
    async () => ({ args: ["--gpu", "99"], env: { CUDA_VISIBLE_DEVICES: "0", QUERN_LOG_LEVEL: "error" } }),
    /asks for GPU 99, but CUDA_VISIBLE_DEVICES=0 shows 1/,
  ],
  [
    "an address for strangers",
    // Without the lines of the scheduler, which starts and stops meanwhile.
    async () => ({ args: ["--host", "0.0.0.0"], env: { QUERN_LOG_LEVEL: "error" } }),
    /serves this machine only/,
  ],
  [
    "a Redis that is not there",
    async () => ({ args: [], env: { REDIS_URL: `redis://127.0.0.1:${await freePort()}` } }),
    /REDIS_URL\) does not answer: connect ECONNREFUSED/,
  ],
  [
    "a data directory that can't be made",
    async () => {
      await writeFile(join(folder, "file"), "");
      return { args: ["--data-dir", join(folder, "file", "data")] };
    },
    /data directory can't be made/,
  ],
])("%s is one clear line, and nothing is left", async (_name, prepare, message) => {
  const { args, env } = await prepare();
  const up = startUp(["--port", String(await freePort()), ...args], env);
  expect(await up.exited).toEqual([1, null]);
  expect(lines(up).at(-1)).toMatch(message);
  expect(lines(up).filter((line) => !/^(Redis: a private|Starting the gateway,)/.test(line))).toEqual([
    expect.stringMatching(message),
  ]);
  await until(async () => (await up.processes()).length === 0);
});

test("a port that is taken is one clear line", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const up = startUp(["--port", String(port)]);
    expect(await up.exited).toEqual([1, null]);
    expect(lines(up)).toEqual([`port ${port} on 127.0.0.1 is taken: choose another with --port`]);
  } finally {
    server.close();
  }
});

function lines(up: Up): string[] {
  return up.output().trim().split("\n");
}
