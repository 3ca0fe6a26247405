import { type Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { QuernError } from "@quern/shared/contract/errors";
import { spreadEvenly, spreadOverChunks } from "./token-times.ts";
import type { BenchRequest, GenerationTrace, Target } from "./workload.ts";

export interface CompletionTargetOptions {
  version: string;
  port: number;
  agent: Agent;
  delivery: "whole" | "stream";
  promptCache: "on" | "off";
  /** Of the server's process. */
  cpuMs: () => number;
}

/** What this reads of a `/completion` answer (llama.cpp's tools/server/README.md). */
interface Completion {
  /** Of a stream's chunk. */
  tokens?: number[];
  timings?: {
    /** Prompt tokens that were still in the cache. */
    cache_n: number;
    predicted_n: number;
    /** From the first token to the last. */
    predicted_ms: number;
  };
  error?: { message: string };
}

/** llama-server's `/completion`, with prompts as tokens. */
export function completionTarget(options: CompletionTargetOptions): Target {
  const { version, delivery, cpuMs } = options;
  return {
    version,
    tokenTimes: delivery === "stream" ? "observed" : "interpolated",
    generate: async (request, onToken) => {
      const sentAtMs = performance.now();
      const response = await post(options, completionBody(request, options));
      return delivery === "stream"
        ? readStream(response, sentAtMs, onToken)
        : readWhole(response, sentAtMs, onToken);
    },
    cpuMs,
    takeSteps: () => null,
  };
}

function completionBody(request: BenchRequest, options: CompletionTargetOptions): string {
  return JSON.stringify({
    prompt: request.promptTokens,
    n_predict: request.maxTokens,
    ignore_eos: true,
    temperature: 0,
    // The cheapest greedy chain: one pass over the logits, then a single candidate.
    samplers: ["top_k"],
    top_k: 1,
    seed: 1,
    cache_prompt: options.promptCache === "on",
    stream: options.delivery === "stream",
  });
}

function post({ port, agent }: CompletionTargetOptions, body: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        ...{ host: "127.0.0.1", port, path: "/completion", method: "POST", agent },
        headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
      },
      resolve,
    );
    request.once("error", (error) => reject(failure(error.message, error)));
    request.end(body);
  });
}

async function readWhole(
  response: IncomingMessage,
  sentAtMs: number,
  onToken: () => void,
): Promise<GenerationTrace> {
  const completion = JSON.parse(await readText(response)) as Completion;
  const endedAtMs = performance.now();
  const { predicted_n, predicted_ms, cache_n } = timingsOf(completion);
  for (let token = 0; token < predicted_n; token++) onToken();
  const tokenAtMs = spreadEvenly(endedAtMs - predicted_ms, endedAtMs, predicted_n);
  return { sentAtMs, tokenAtMs, endedAtMs, cachedTokens: cache_n };
}

async function readStream(
  response: IncomingMessage,
  sentAtMs: number,
  onToken: () => void,
): Promise<GenerationTrace> {
  const chunkAtMs: number[] = [];
  let last: Completion = {};
  for await (const completion of serverSentEvents(response)) {
    last = completion;
    if (completion.error !== undefined) break;
    if ((completion.tokens?.length ?? 0) === 0) continue;
    chunkAtMs.push(performance.now());
    onToken();
  }
  const endedAtMs = performance.now();
  const { predicted_n, cache_n } = timingsOf(last);
  // Bytes that are not yet a character are held back: chunks are fewer than tokens.
  return {
    sentAtMs,
    tokenAtMs: spreadOverChunks(chunkAtMs, predicted_n),
    endedAtMs,
    cachedTokens: cache_n,
  };
}

/** The server writes each event as one `data:` line. */
async function* serverSentEvents(response: AsyncIterable<string | Buffer>): AsyncGenerator<Completion> {
  let rest = "";
  if ("setEncoding" in response) (response as IncomingMessage).setEncoding("utf8");
  for await (const text of response) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("data: ")) yield JSON.parse(line.slice("data: ".length)) as Completion;
      // An error in place of a stream is a bare object.
      else if (line.startsWith("{")) yield JSON.parse(line) as Completion;
    }
  }
  if (rest.startsWith("{")) yield JSON.parse(rest) as Completion;
}

async function readText(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  return text;
}

function timingsOf({ timings, error }: Completion): Required<Completion>["timings"] {
  if (timings === undefined) throw failure(error?.message ?? "its answer has no timings");
  return timings;
}

function failure(reason: string, cause?: unknown): QuernError {
  return new QuernError("engine_failed", `llama-server can't go on: ${reason}`, { cause });
}
