import { type Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { QuernError } from "@quern/shared/contract/errors";
import type { CpuClock } from "./cpu-time.ts";
import { spreadEvenly } from "./token-times.ts";
import type { BenchRequest, GenerationTrace, Target } from "./workload.ts";

export interface CompletionTargetOptions {
  version: string;
  port: number;
  agent: Agent;
  delivery: "whole" | "stream";
  promptCache: "on" | "off";
  /** Of the server's process. */
  cpu: CpuClock;
}

/** What this reads of a `/completion` answer (llama.cpp's tools/server/README.md). */
interface Completion {
  /** Prompt tokens, cached ones included. */
  tokens_evaluated?: number;
  /** Tokens so far. A stream's events can bring several: bytes are held back until they are a character. */
  tokens_predicted?: number;
  /** Of the last event of a stream, and of a whole answer. */
  timings?: {
    /** Prompt tokens that were still in the cache. */
    cache_n: number;
    /** From the first token's sampling to the last one's. */
    predicted_ms: number;
  };
  error?: { message: string };
}

/** llama-server's `/completion`, with prompts as tokens. */
export function completionTarget(options: CompletionTargetOptions): Target {
  const { version, delivery, cpu } = options;
  return {
    version,
    tokenTimes: delivery === "stream" ? "observed" : "interpolated",
    answerLength: "exact",
    generate: async (request, onToken) => {
      const sentAtMs = performance.now();
      const response = await post(options, completionBody(request, options));
      return delivery === "stream"
        ? readStream(response, { request, sentAtMs, onToken })
        : readWhole(response, { request, sentAtMs, onToken });
    },
    cpu,
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

interface Sent {
  request: BenchRequest;
  sentAtMs: number;
  onToken: () => void;
}

async function readWhole(
  response: IncomingMessage,
  { request, sentAtMs, onToken }: Sent,
): Promise<GenerationTrace> {
  const completion = JSON.parse(await readText(response)) as Completion;
  const endedAtMs = performance.now();
  const { predicted_ms, cache_n } = completeTimings(completion, request);
  const tokens = completion.tokens_predicted ?? 0;
  for (let token = 0; token < tokens; token++) onToken();
  const tokenAtMs = spreadEvenly(endedAtMs - predicted_ms, endedAtMs, tokens);
  return { sentAtMs, tokenAtMs, endedAtMs, cachedTokens: cache_n };
}

async function readStream(
  response: IncomingMessage,
  { request, sentAtMs, onToken }: Sent,
): Promise<GenerationTrace> {
  const tokenAtMs: number[] = [];
  let last: Completion = {};
  for await (last of serverSentEvents(response.setEncoding("utf8"))) {
    const arrivedAtMs = performance.now();
    while (tokenAtMs.length < (last.tokens_predicted ?? 0)) {
      tokenAtMs.push(arrivedAtMs);
      onToken();
    }
  }
  const endedAtMs = performance.now();
  const { cache_n } = completeTimings(last, request);
  return { sentAtMs, tokenAtMs, endedAtMs, cachedTokens: cache_n };
}

/** The server writes each event as one `data:` line. `texts`: the body, cut anywhere. */
export async function* serverSentEvents(texts: AsyncIterable<string>): AsyncGenerator<Completion> {
  let rest = "";
  for await (const text of texts) {
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

/** @throws QuernError `engine_failed` for a refusal, and when the prompt was read as other tokens than were sent. */
function completeTimings(answer: Completion, request: BenchRequest): Required<Completion>["timings"] {
  const { timings, tokens_evaluated, error } = answer;
  if (timings === undefined) throw failure(error?.message ?? "its answer has no timings");
  const sent = request.promptTokens.length;
  if (tokens_evaluated !== sent) throw failure(`it read a prompt of ${sent} tokens as ${tokens_evaluated}`);
  return timings;
}

function failure(reason: string, cause?: unknown): QuernError {
  return new QuernError("engine_failed", `llama-server can't go on: ${reason}`, { cause });
}
