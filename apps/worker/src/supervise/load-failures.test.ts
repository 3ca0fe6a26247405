import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "@quern/testing/cluster";
import {
  writeBadMagicModel,
  writeNanModel,
  writeTruncatedModel,
  writeUnknownArchitectureModel,
} from "@quern/testing/gguf/damaged-models";
import { writeLoraAdapter } from "@quern/testing/gguf/lora-adapter";
import { writeRandomModel } from "@quern/testing/gguf/random-model";
import { type RedisServer, startRedis } from "@quern/testing/redis-server";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { engineOptions } from "../model-options.fixture.ts";
import type { EngineOptions } from "../protocol/engine-options.ts";
import { DEFAULT_CHILD, EngineProcess } from "./engine-process.ts";
import { explainLoadDeath } from "./load-death.ts";

// Promise: whatever keeps a model from loading is told in one line with its cure, and the worker's own process lives.

const WORKER_MAIN = join(import.meta.dirname, "..", "main.ts");
const never = new AbortController().signal;
let folder: string;
let whole: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-load-"));
  whole = join(folder, "whole.gguf");
  await writeRandomModel(whole, { kvHeads: 8, heads: 8, headDim: 128, contextLength: 32_768 });
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

function options(changes: Partial<EngineOptions> = {}): EngineOptions {
  return engineOptions(whole, changes);
}

/** The error that a start ends with, and proof that it left no engine behind. */
async function failureOf(start: Promise<EngineProcess>): Promise<unknown> {
  const error = await start.then(
    async (engine) => {
      await engine.close();
      return "it loaded";
    },
    (reason: unknown) => reason,
  );
  expect(await enginesOfThisProcess()).toEqual([]);
  return error;
}

async function enginesOfThisProcess(): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
      const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      return status.includes(`PPid:\t${process.pid}\n`) && command.includes("engines/llama/main.ts")
        ? [Number(pid)]
        : [];
    }),
  );
  return found.flat();
}

describe("a file that", () => {
  test.each<[string, (path: string) => Promise<void>, string, RegExp]>([
    ["is not there", async () => {}, "model_file_missing", /there is no model file .*: check the path/],
    ["is empty", (path) => writeFile(path, ""), "model_file_invalid", /it is empty; download it again/],
    ["does not begin as GGUF", writeBadMagicModel, "model_file_invalid", /not a GGUF file/],
    [
      "ends early",
      (path) => writeTruncatedModel(path),
      "model_file_invalid",
      /the file ends early: \d+ of \d+ bytes; download it again/,
    ],
    [
      "names an unknown architecture",
      writeUnknownArchitectureModel,
      "model_load_failed",
      /does not know its architecture "quern-unknown"; Quern serves qwen2, qwen2moe, qwen3 and qwen3moe$/,
    ],
    [
      "holds NaN",
      writeNanModel,
      "model_file_invalid",
      /weights are damaged \(\S+ and others hold NaN or infinity\); download it again$/,
    ],
  ])("%s", async (name, write, code, message) => {
    const modelPath = join(folder, `${name.replaceAll(" ", "-")}.gguf`);
    await write(modelPath);
    const error = await failureOf(EngineProcess.start(options({ modelPath }), [], never));
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    expect((error as Error).message).toContain(modelPath);
  });
});

describe("a LoRA adapter that", () => {
  test.each<[string, (path: string) => Promise<void>, string, RegExp]>([
    ["is not there", async () => {}, "model_file_missing", /there is no LoRA adapter .*: check the path/],
    ["is no GGUF", (path) => writeFile(path, "no"), "model_file_invalid", /^LoRA adapter: .*not a GGUF file/],
    ["is a model", (path) => writeRandomModel(path), "model_file_invalid", /it is no LoRA adapter/],
    [
      "is for another architecture",
      (path) => writeLoraAdapter(path, { architecture: "qwen2" }),
      "model_file_invalid",
      /it is for qwen2, the model is qwen3/,
    ],
    [
      "is for a wider model",
      (path) => writeLoraAdapter(path, { hidden: 128 }),
      "model_file_invalid",
      /blk\.0\.attn_q\.weight has a length of 64, the adapter has 128/,
    ],
    [
      "is for a deeper model",
      (path) => writeLoraAdapter(path, { heads: 8, headDim: 128, layers: 3 }),
      "model_file_invalid",
      /it changes blk\.2\.attn_q\.weight, which the model does not have/,
    ],
  ])("%s", async (name, write, code, message) => {
    const path = join(folder, `lora-${name.replaceAll(" ", "-")}.gguf`);
    await write(path);
    const error = await failureOf(EngineProcess.start(options({ loras: [{ path, scale: 1 }] }), [], never));
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    expect((error as Error).message).toContain(path);
  });
});

test("a model that is too large is refused before it is loaded, with the plan and with what fits", async () => {
  // 8 KiB a token: 256 TiB.
  const error = await failureOf(
    EngineProcess.start(options({ slots: 256, contextTokens: 2 ** 27 }), [], never),
  );
  expect(error).toMatchObject({
    code: "model_does_not_fit",
    message: expect.stringMatching(
      /^the model does not fit: weights .* KV 262144\.0 GiB for 256 × 134,217,728 tokens, .* free in RAM, .* too little\. It fits with --slots 1 --context-tokens \d+: .* to spare$/,
    ),
  });
});

test("a GPU that is not there is named", async () => {
  const error = await failureOf(
    EngineProcess.start(options({ gpu: "99" }), [], never, {
      ...DEFAULT_CHILD,
      environment: { ...process.env, CUDA_VISIBLE_DEVICES: "99", GGML_VK_VISIBLE_DEVICES: "99" },
      loadTimeoutMs: 60_000,
    }),
  );
  expect(error).toMatchObject({
    code: "config_invalid",
    message: expect.stringMatching(
      /asks for GPU 99, but llama\.cpp finds no GPU there: name another one, or cpu/,
    ),
  });
});

test("a load that takes too long is ended", async () => {
  const error = await failureOf(
    EngineProcess.start(options(), [], never, { ...DEFAULT_CHILD, loadTimeoutMs: 1 }),
  );
  expect(error).toMatchObject({
    code: "model_load_failed",
    message: expect.stringMatching(/was not loaded within 0\.001 s: raise QUERN_LOAD_TIMEOUT_SECONDS/),
  });
});

test("an engine that is killed while it loads is told of, with the likeliest reason", async () => {
  const start = EngineProcess.start(options(), [], never);
  const failure = failureOf(start);
  const [pid = 0] = await until(async () => {
    const pids = await enginesOfThisProcess();
    return pids.length > 0 ? pids : null;
  });
  process.kill(pid, "SIGKILL");
  expect(await failure).toMatchObject({
    code: "model_load_failed",
    message: expect.stringMatching(
      /killed while it loaded .* \(SIGKILL\).*memory ran out: give it fewer slots/,
    ),
  });
});

test.each([
  "terminate called after throwing an instance of 'std::bad_alloc'",
  "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
  "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 5368709120",
])("a death that says %s is a want of memory", (output) => {
  expect(explainLoadDeath("m.gguf", `SIGABRT: ${output}`, output)).toMatchObject({
    code: "model_does_not_fit",
    message: expect.stringContaining("memory ran out while the engine loaded m.gguf"),
  });
});

describe("the worker", () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis[Symbol.asyncDispose]());

  /** Runs it under a shell, which may first lower its limits; resolves with what it wrote when it has ended. */
  async function runWorker(
    shell: string,
    env: Record<string, string>,
  ): Promise<{ code: number; lines: string[] }> {
    const child: ChildProcess = spawn(
      "sh",
      ["-c", `${shell} exec "$0" "$1"`, process.execPath, WORKER_MAIN],
      {
        env: {
          ...process.env,
          REDIS_URL: redis.url,
          QUERN_THREADS: "1",
          QUERN_GPU: "cpu",
          QUERN_LOG_LEVEL: "error",
          ...env,
        },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (chunk: string) => {
        output += chunk;
      });
    }
    const [code] = await once(child, "close");
    return { code, lines: output.trim().split("\n") };
  }

  test("outlives an engine whose memory runs out, and ends with one line", async () => {
    // 9 GiB of KV in 8 GB of addresses. A machine with less than that free refuses by the plan.
    const { code, lines } = await runWorker("ulimit -v 8000000;", {
      QUERN_MODEL: whole,
      QUERN_SLOTS: "36",
      QUERN_CONTEXT_TOKENS: "32768",
    });
    expect(code).toBe(1);
    expect(lines).toEqual([
      expect.stringMatching(/memory ran out while .*whole\.gguf was loaded.*The plan was: |does not fit: /),
    ]);
  });

  test("ends with one line, not a stack", async () => {
    const damaged = join(folder, "damaged.gguf");
    await writeNanModel(damaged);
    const { code, lines } = await runWorker("", { QUERN_MODEL: damaged });
    expect(code).toBe(1);
    expect(lines).toEqual([expect.stringMatching(/damaged\.gguf can't be loaded: its weights are damaged/)]);
  });

  test("refuses a q8_0 cache where llama.cpp would", async () => {
    const odd = join(folder, "odd.gguf");
    // qwen2 files leave the length of a head to be computed: 64 numbers of 4 heads.
    await writeRandomModel(odd, { architecture: "qwen2" });
    const env = { QUERN_MODEL: odd, QUERN_KV_TYPE: "q8_0" };
    expect((await runWorker("", env)).lines).toEqual([
      expect.stringMatching(/odd has heads of 16 numbers, and a q8_0 cache needs a multiple of 32/),
    ]);
    const off = { QUERN_MODEL: whole, QUERN_KV_TYPE: "q8_0", QUERN_FLASH_ATTENTION: "off" };
    expect((await runWorker("", off)).lines).toEqual([
      expect.stringMatching(/a q8_0 cache needs flash attention, which is off for whole/),
    ]);
  });
});
