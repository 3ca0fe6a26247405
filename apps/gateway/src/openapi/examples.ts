import { QuernError } from "@quern/shared/contract/errors";
import type { JobSummary } from "@quern/shared/contract/job";
import { toTextCompletion } from "@quern/shared/openai/completion-response";
import { toEmbeddingsResponse } from "@quern/shared/openai/embeddings-response";
import { toErrorBody } from "@quern/shared/openai/error-body";
import { toFileObject } from "@quern/shared/openai/file-object";
import { toJobObject } from "@quern/shared/openai/job-object";
import { ResponseEvents } from "@quern/shared/openai/responses-events";
import { parseResponsesRequest } from "@quern/shared/openai/responses-request";
import { toResponse } from "@quern/shared/openai/responses-response";

/** What the document shows, made by the same translations as the replies themselves. */

export const chatRequest = {
  model: "tiny-qwen3",
  messages: [{ role: "user", content: "What is the capital of France?" }],
};

export const completionRequest = {
  model: "qwen2.5-coder-7b",
  prompt: "def add(a, b):\n    ",
  suffix: "\nprint(add(1, 2))",
};

export const textCompletion = toTextCompletion({
  jobId: "job_019aad2e-7d1c-7b3a-9a55-3f0c6d2b8e41",
  model: completionRequest.model,
  createdAtMs: 1_764_000_000_120,
  result: {
    text: "return a + b",
    reasoning: "",
    toolCalls: [],
    finishReason: "stop",
    logprobs: null,
    alternatives: [],
  },
  usage: { promptTokens: 19, completionTokens: 6, reasoningTokens: 0, cachedTokens: 0 },
});

export const embeddingsRequest = { model: "qwen3-embedding-0.6b", input: ["Paris", "Oslo"], dimensions: 2 };

export const embeddingList = toEmbeddingsResponse({
  model: embeddingsRequest.model,
  result: { vectors: ["mpkZP83MTD8=", "zcxMv5qZGT8="], encoding: "float" },
  usage: { promptTokens: 4, completionTokens: 0, reasoningTokens: 0, cachedTokens: 0 },
});

export const jobRequest = {
  endpoint: "/v1/chat/completions",
  body: chatRequest,
  metadata: { order: "7" },
  ttl_seconds: 3_600,
};

const submitted: JobSummary = {
  id: "job_019aad2e-7d1c-7b3a-9a55-3f0c6d2b8e41",
  tenant: "default",
  model: chatRequest.model,
  endpoint: "/v1/chat/completions",
  class: "interactive",
  state: "queued",
  attempt: 0,
  crashes: 0,
  kills: 0,
  lostAttempts: 0,
  parks: 0,
  suspectSinceMs: null,
  slots: 1,
  cancelRequested: false,
  metadata: jobRequest.metadata,
  echoed: null,
  traceparent: null,
  createdAtMs: 1_764_000_000_120,
  queuedAtMs: 1_764_000_000_120,
  startedAtMs: null,
  firstTokenAtMs: null,
  endedAtMs: null,
  deadlineAtMs: 1_764_003_600_120,
  claimedAtMs: null,
  size: { promptCharacters: 30, maxTokens: null },
  estimate: null,
  webhook: null,
  retentionSeconds: 86_400,
  eventsRetentionSeconds: 86_400,
  expiresAtMs: null,
  retriedFrom: null,
  idempotencyKeyHash: null,
  line: null,
  usage: null,
  result: null,
  error: null,
};

export const queuedJob = toJobObject(submitted, 3, {
  startAtMs: { p50: 1_764_000_001_400, p90: 1_764_000_002_310 },
  endAtMs: { p50: 1_764_000_002_020, p90: 1_764_000_003_150 },
  reason: null,
});

const completed: JobSummary = {
  ...submitted,
  state: "completed",
  attempt: 1,
  startedAtMs: 1_764_000_000_131,
  firstTokenAtMs: 1_764_000_000_158,
  endedAtMs: 1_764_000_000_204,
  expiresAtMs: 1_764_086_400_204,
  usage: { promptTokens: 17, completionTokens: 21, reasoningTokens: 12, cachedTokens: 0 },
  result: {
    text: "The capital of France is Paris.",
    reasoning: "The question is about the capital of France.",
    toolCalls: [],
    finishReason: "stop",
    logprobs: null,
    alternatives: [],
  },
};

export const completedJob = toJobObject(completed, null);

export const responsesRequest = {
  model: "tiny-qwen3",
  instructions: "Answer in one sentence.",
  input: "What is the capital of France?",
};

const { echoed } = parseResponsesRequest(responsesRequest, { drawSeed: () => 0 });
const ofResponses: JobSummary = { ...completed, endpoint: "/v1/responses", echoed };
export const response = toResponse(ofResponses);

export const failedJob = toJobObject(
  {
    ...submitted,
    state: "failed",
    attempt: 3,
    crashes: 3,
    startedAtMs: 1_764_000_000_131,
    endedAtMs: 1_764_000_009_870,
    expiresAtMs: 1_764_086_409_870,
    error: { code: "engine_crashed", message: "the engine died 3 times while it ran this job", param: null },
  },
  null,
);

export const chatCompletion = completedJob.response?.body;

/** How a job's events and a chat stream look on the wire. */
export const jobEvents = `retry: 1000

event: start
id: 1-1
data: {"attempt":1}

event: delta
id: 1-2
data: {"text":"The capital of France is Paris."}

event: end
id: 1-3
data: ${JSON.stringify({ status: "completed", finish_reason: "stop", usage: completedJob.usage })}

`;

export const chatStream = `data: {"id":"chatcmpl-019aad2e-7d1c-7b3a-9a55-3f0c6d2b8e41","object":"chat.completion.chunk","created":1764000000,"model":"tiny-qwen3","service_tier":"default","choices":[{"index":0,"delta":{"content":"Paris"},"logprobs":null,"finish_reason":null}]}

data: [DONE]

`;

/** Without the response objects that the first and the last carry. */
export const responseStream = streamOf(ofResponses, "The capital of France is Paris.");

function streamOf(job: JobSummary, text: string): string {
  const events = new ResponseEvents(job);
  const shown = [
    ...events.opening(),
    ...events.next({ type: "start", data: { attempt: 1 } }),
    ...events.next({ type: "delta", data: { text } }),
    ...events.end(job),
  ];
  return shown
    .map((event) => ("response" in event ? { ...event, response: { id: response.id } } : event))
    .map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
    .join("");
}

export const uploadedFile = toFileObject({
  id: "file-019aad2e-7d1c-7b3a-9a55-3f0c6d2b8e41",
  tenant: "default",
  purpose: "batch",
  filename: "requests.jsonl",
  bytes: 184_320,
  createdAtMs: 1_764_000_000_000,
  expiresAtMs: 1_764_086_400_000,
  status: "uploaded",
});

const failures = {
  400: new QuernError("invalid_request", "messages: needs at least one message", { param: "messages" }),
  403: new QuernError(
    "forbidden",
    "without API keys this gateway does not answer web pages of other sites; the Host header names 'evil.example'. " +
      "If that is a name of yours, add it to QUERN_ALLOWED_HOSTS of the gateway",
  ),
  404: new QuernError("job_not_found", `there is no job '${submitted.id}'`),
  409: new QuernError(
    "idempotency_in_flight",
    "the first request with this Idempotency-Key is just being accepted",
  ),
  410: new QuernError("job_cancelled", "the job was cancelled before it ended"),
  422: new QuernError(
    "deadline_infeasible",
    "the deadline is 0.50 s away, but the job would end in about 12 s (90% within 17 s) as queue and workers stand. " +
      "Allow that long, lower max_tokens, or try again when less is queued",
  ),
  504: new QuernError(
    "deadline_exceeded",
    `the job's deadline passed before it ended; what it wrote until then is at /v1/jobs/${submitted.id}`,
  ),
  408: new QuernError("request_timeout", "the body did not arrive within 60 s of its headers"),
  413: new QuernError("body_too_large", "the body is larger than 10485760 bytes"),
  507: new QuernError(
    "file_store_full",
    "there is no room for files (ENOSPC): delete files that are not needed, or make room where QUERN_FILES points to",
  ),
  500: new QuernError("engine_crashed", "the engine died 3 times while it ran this job"),
  503: new QuernError("redis_unavailable", "the queue can't be reached just now; try again soon"),
};
export type DocumentedFailure = keyof typeof failures;

export function errorExample(status: DocumentedFailure): object {
  return toErrorBody(failures[status]);
}
