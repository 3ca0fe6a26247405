import { type ChildProcess, execFile, spawn } from "node:child_process";
import { Agent, get } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { QuernError } from "@quern/shared/contract/errors";
import { freePort } from "@quern/testing/free-port";
import { type ChildLifetime, hasEnded, ownChild } from "./child-lifetime.ts";
import type { Contender, ContenderOptions } from "./contender.ts";
import { cpuOf } from "./cpu-time.ts";
import { completionTarget } from "./llama-server-client.ts";
import { runWorkload } from "./workload.ts";

export interface LlamaServerOptions extends ContenderOptions {
  binary: string;
  /** `on`: prompts share what slots and the server's memory still hold of earlier ones. */
  promptCache: "on" | "off";
}

export interface LlamaServer extends AsyncDisposable {
  /** The same server, asked for answers as a whole and as streams. */
  readonly whole: Contender;
  readonly stream: Contender;
}

const HEALTH_INTERVAL_MS = 50;
/** A free port may be taken by another process before the server listens on it. */
const PORT_ATTEMPTS = 3;
/** It only prints a line. */
const VERSION_TIMEOUT_MS = 30_000;
const KEPT_OUTPUT_CHARACTERS = 2_000;

/**
 * Starts llama.cpp's server on a free loopback port; resolves when its model is loaded. `stop` kills it, and then this
 * rejects.
 *
 * @throws QuernError `config_invalid` when there is no such binary, `model_load_failed` with the end of what it said.
 */
export async function startLlamaServer(options: LlamaServerOptions, stop: AbortSignal): Promise<LlamaServer> {
  const version = await versionOf(options.binary, stop);
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    stop.throwIfAborted();
    const child = spawn(options.binary, serverArguments(options, port), {
      stdio: ["ignore", "pipe", "pipe"],
      env: environment(),
    });
    const said = keepOutput(child);
    const lifetime = ownChild(child, stop);
    if (await isHealthy(child, port)) return toServer(child, lifetime, { ...options, port, version });
    await lifetime.exited;
    stop.throwIfAborted();
    if (attempt < PORT_ATTEMPTS && said().includes("couldn't bind")) continue;
    throw new QuernError(
      "model_load_failed",
      `llama-server ended before it was ready: ${said() || "it said nothing"}`,
    );
  }
}

/** Like the other contenders in all that they have in common; the rest are the server's own defaults. */
function serverArguments(options: LlamaServerOptions, port: number): string[] {
  const { modelPath, slots, threads, contextTokens } = options;
  return [
    ...["--model", modelPath, "--host", "127.0.0.1", "--port", String(port), "--no-webui"],
    ...["--threads", String(threads), "--threads-batch", String(threads)],
    // One KV buffer for each slot, as the library has it; `--ctx-size` is for all slots together.
    ...["--parallel", String(slots), "--ctx-size", String(slots * contextTokens), "--no-kv-unified"],
    // Else finished prompts are copied to memory at every request, which no other contender does.
    ...(options.promptCache === "off" ? ["--cache-ram", "0"] : []),
    // Warnings and errors: it would write several lines for each request.
    ...["--log-verbosity", "2"],
  ];
}

/** Without LLAMA_…: variables can set every option that isn't given. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("LLAMA_")));
}

async function versionOf(binary: string, stop: AbortSignal): Promise<string> {
  try {
    const { stdout, stderr } = await promisify(execFile)(binary, ["--version"], {
      env: environment(),
      timeout: VERSION_TIMEOUT_MS,
      signal: stop,
    });
    return /^version: (.+)$/m.exec(`${stdout}\n${stderr}`)?.[1] ?? "unknown";
  } catch (error) {
    throw new QuernError(
      "config_invalid",
      `can't run ${binary}: ${(error as Error).message.trim()}. Give --llama-server the path of llama.cpp's llama-server`,
      { cause: error },
    );
  }
}

function keepOutput(child: ChildProcess): () => string {
  let kept = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      kept = (kept + text).slice(-KEPT_OUTPUT_CHARACTERS);
    });
  }
  return () => kept.trim();
}

/** Resolves with false when the process ended instead. */
async function isHealthy(child: ChildProcess, port: number): Promise<boolean> {
  while (!hasEnded(child)) {
    if ((await statusOf(`http://127.0.0.1:${port}/health`)) === 200) return true;
    await delay(HEALTH_INTERVAL_MS);
  }
  return false;
}

/** null: nobody answers. */
function statusOf(url: string): Promise<number | null> {
  return new Promise((resolve) => {
    get(url, { agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? null);
    }).once("error", () => resolve(null));
  });
}

function toServer(
  child: ChildProcess,
  lifetime: ChildLifetime,
  { port, version, promptCache }: LlamaServerOptions & { port: number; version: string },
): LlamaServer {
  // Connections stay open from round to round: a round doesn't measure handshakes.
  const agent = new Agent({ keepAlive: true });
  const toContender = (delivery: "whole" | "stream"): Contender => {
    const cpu = cpuOf(child.pid as number);
    const target = completionTarget({ version, port, agent, delivery, promptCache, cpu });
    return {
      name: delivery === "whole" ? "llama-server" : "llama-server-stream",
      version,
      run: (workload) => runWorkload(target, workload),
    };
  };
  return {
    whole: toContender("whole"),
    stream: toContender("stream"),
    async [Symbol.asyncDispose]() {
      agent.destroy();
      await lifetime.end(() => child.kill("SIGTERM"));
    },
  };
}
