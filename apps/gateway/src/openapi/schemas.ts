import { NO_ESTIMATE_REASONS } from "@quern/shared/contract/estimate";
import { FILE_PURPOSES } from "@quern/shared/contract/file";
import { ENDPOINTS, JOB_CLASSES } from "@quern/shared/contract/job";
import { WORKER_STATES } from "@quern/shared/contract/worker";
import { batchSchemas } from "./batch-schemas.ts";
import {
  list,
  nullable,
  nullableSeconds,
  object,
  orNull,
  ref,
  seconds,
  webhook,
  wholeSeconds,
} from "./schema-words.ts";

/** The shapes of replies, in JSON Schema. */

const experts = orNull({
  type: "object",
  properties: { total: { type: "integer" }, used: { type: "integer" } },
  required: ["total", "used"],
});

const tokensPerSecond = { ...nullable("number"), description: "null: not measured" };
const share = { type: "number", minimum: 0, maximum: 1 };
const speed = {
  ...orNull(
    object({
      prefill_tokens_per_second: {
        ...tokensPerSecond,
        description: "Prompt tokens, those from caches included",
      },
      decode_tokens_per_second: { ...tokensPerSecond, description: "Of one slot, beside what else ran" },
      job_seconds: { type: "number", description: "How long a job keeps its slot, on average" },
    }),
  ),
  description:
    "Of the jobs that were completed last, under full load where there was any; null: there were none",
};
const coverage = orNull(object({ jobs: { type: "integer" }, before_p50: share, before_p90: share }));
const estimates = {
  ...orNull(object({ start: coverage, end: coverage })),
  description: "How many jobs began and ended before their estimates; null: nothing was estimated yet",
};

const toolCall = object({
  id: { type: "string" },
  type: { const: "function" },
  function: object({
    name: { type: "string" },
    arguments: { type: "string", description: "JSON, as the model wrote it" },
  }),
});

const toolCallDelta = {
  description: "What has one index is one call: the first has its id and name, and the arguments add up",
  ...object(
    {
      index: { type: "integer" },
      id: { type: "string" },
      type: { const: "function" },
      function: object({ name: { type: "string" }, arguments: { type: "string" } }, ["name", "arguments"]),
    },
    ["id", "type"],
  ),
};

const tokenProbability = {
  token: { type: "string", description: "Its text, with U+FFFD where it is half a character" },
  logprob: {
    type: "number",
    description: "Natural logarithm of the model's own probability: before temperature, penalties and cuts",
  },
  bytes: { type: "array", items: { type: "integer" } },
};

/** `top` is what the likeliest tokens of the position are called: the API's two forms differ in that name only. */
function tokenLogprob(top: string) {
  return object({ ...tokenProbability, [top]: { type: "array", items: object(tokenProbability) } });
}

const itemHead = { id: { type: "string" }, status: { enum: ["in_progress", "completed", "incomplete"] } };
const responseItem = {
  anyOf: [
    object({
      ...itemHead,
      type: { const: "reasoning" },
      summary: { type: "array", maxItems: 0 },
      content: {
        type: "array",
        items: object({ type: { const: "reasoning_text" }, text: { type: "string" } }),
      },
    }),
    object({
      ...itemHead,
      type: { const: "message" },
      role: { const: "assistant" },
      content: {
        type: "array",
        items: object({
          type: { const: "output_text" },
          text: { type: "string" },
          annotations: { type: "array", maxItems: 0 },
          logprobs: { type: "array", items: tokenLogprob("top_logprobs") },
        }),
      },
    }),
    object({
      ...itemHead,
      type: { const: "function_call" },
      call_id: { type: "string" },
      name: { type: "string" },
      arguments: { type: "string", description: "JSON, as the model wrote it" },
    }),
  ],
};

export const schemas = {
  Error: object({
    error: object({
      message: { type: "string" },
      type: { enum: ["invalid_request_error", "permission_error", "server_error"] },
      param: nullable("string"),
      code: { type: "string" },
    }),
  }),
  Usage: object({
    prompt_tokens: { type: "integer" },
    completion_tokens: {
      type: "integer",
      description: "All generated tokens: reasoning and the end of the turn too",
    },
    total_tokens: { type: "integer" },
    prompt_tokens_details: object({ cached_tokens: { type: "integer" } }),
    completion_tokens_details: object({ reasoning_tokens: { type: "integer" } }),
  }),
  ChatCompletion: object({
    id: { type: "string" },
    object: { const: "chat.completion" },
    created: { type: "integer" },
    model: { type: "string" },
    service_tier: { enum: ["default", "flex"], description: "`flex`: the job was of the batch class" },
    choices: {
      type: "array",
      items: object({
        index: { type: "integer" },
        message: object(
          {
            role: { const: "assistant" },
            content: nullable("string"),
            reasoning_content: { type: "string", description: "What the model thought before it answered" },
            tool_calls: { type: "array", items: toolCall },
            refusal: { type: "null" },
          },
          ["reasoning_content", "tool_calls"],
        ),
        logprobs: orNull(
          object({
            content: { type: "array", items: tokenLogprob("top_logprobs") },
            refusal: { type: "null" },
          }),
        ),
        finish_reason: { enum: ["stop", "length", "tool_calls", null] },
      }),
    },
    usage: ref("Usage"),
  }),
  TextCompletion: object({
    id: { type: "string" },
    object: { const: "text_completion" },
    created: { type: "integer" },
    model: { type: "string" },
    choices: {
      type: "array",
      items: object({
        index: { type: "integer" },
        text: { type: "string" },
        logprobs: orNull(
          object({
            tokens: { type: "array", items: { type: "string" } },
            token_logprobs: { type: "array", items: { type: "number" } },
            top_logprobs: {
              type: "array",
              description: "The likeliest tokens of each position, and the one that was taken",
              items: { type: "object", additionalProperties: { type: "number" } },
            },
            text_offset: {
              type: "array",
              description: "Where each token begins, in characters (code points) of `text`",
              items: { type: "integer" },
            },
          }),
        ),
        finish_reason: { enum: ["stop", "length", null] },
      }),
    },
    usage: ref("Usage"),
  }),
  EmbeddingList: object({
    object: { const: "list" },
    data: {
      type: "array",
      items: object({
        object: { const: "embedding" },
        index: { type: "integer" },
        embedding: {
          description: "Of length 1: numbers, or 32-bit floats (the low byte first) in base64",
          anyOf: [{ type: "array", items: { type: "number" } }, { type: "string" }],
        },
      }),
    },
    model: { type: "string" },
    usage: object({ prompt_tokens: { type: "integer" }, total_tokens: { type: "integer" } }),
  }),
  Response: object({
    id: { type: "string" },
    object: { const: "response" },
    created_at: { type: "integer" },
    completed_at: nullable("integer"),
    status: { enum: ["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"] },
    error: orNull(
      object({
        code: { enum: ["invalid_prompt", "server_error"] },
        message: { type: "string" },
        param: nullable("string"),
        type: { type: "string" },
      }),
    ),
    incomplete_details: orNull(object({ reason: { const: "max_output_tokens" } })),
    model: { type: "string" },
    service_tier: { enum: ["default", "flex"], description: "`flex`: the job was of the batch class" },
    output: { type: "array", items: responseItem, description: "Empty until it has ended" },
    usage: orNull(
      object({
        input_tokens: { type: "integer" },
        input_tokens_details: object({
          cached_tokens: { type: "integer" },
          cache_write_tokens: { const: 0 },
        }),
        output_tokens: {
          type: "integer",
          description: "All generated tokens: reasoning and the end of the turn too",
        },
        output_tokens_details: object({ reasoning_tokens: { type: "integer" } }),
        total_tokens: { type: "integer" },
      }),
    ),
    access_programs: { type: "null" },
    instructions: nullable("string"),
    previous_response_id: nullable("string"),
    tools: { type: "array", items: { type: "object" } },
    tool_choice: { anyOf: [{ type: "string" }, { type: "object" }] },
    parallel_tool_calls: { type: "boolean" },
    temperature: { ...nullable("number"), description: "null: the model's own" },
    top_p: { ...nullable("number"), description: "null: the model's own" },
    max_output_tokens: nullable("integer"),
    max_tool_calls: nullable("integer"),
    top_logprobs: { type: "integer" },
    text: { type: "object" },
    reasoning: { type: "object" },
    truncation: { const: "disabled" },
    background: { type: "boolean" },
    store: { type: "boolean" },
    metadata: { type: "object", additionalProperties: { type: "string" } },
    user: nullable("string"),
    safety_identifier: nullable("string"),
    prompt_cache_key: nullable("string"),
  }),
  DeletedResponse: object({
    id: { type: "string" },
    object: { const: "response" },
    deleted: { const: true },
  }),
  Job: object({
    id: { type: "string" },
    object: { const: "job" },
    status: { enum: ["queued", "running", "completed", "failed", "cancelled", "expired"] },
    endpoint: { enum: ENDPOINTS },
    model: { type: "string" },
    class: {
      enum: JOB_CLASSES,
      description: "`batch` waits for the interactive ones, and yields its slot to them",
    },
    attempt: { type: "integer", description: "How many times a worker began it" },
    created_at: seconds,
    started_at: nullableSeconds,
    first_token_at: nullableSeconds,
    ended_at: nullableSeconds,
    expires_at: { ...nullableSeconds, description: "When it is no longer kept; null: it has not ended" },
    deadline: { ...nullableSeconds, description: "Unix seconds; the job is stopped then. null: never" },
    queue_position: {
      ...nullable("integer"),
      description: "1: it is the next one, of all that go first; null unless it is queued",
    },
    estimated_start_at: { ...orNull(ref("TimeEstimate")), description: "null unless it is queued" },
    estimated_end_at: { ...orNull(ref("TimeEstimate")), description: "null when it has ended" },
    estimate_reason: {
      enum: [...NO_ESTIMATE_REASONS, null],
      description: "Why there is no estimate; docs/deadlines.md explains each",
    },
    usage: orNull(ref("Usage")),
    response: {
      ...orNull(
        object({
          status_code: { type: "integer" },
          request_id: { type: "string" },
          body: {
            anyOf: ["ChatCompletion", "Response", "TextCompletion", "EmbeddingList", "Error"].map(ref),
          },
        }),
      ),
      description:
        "A job that was cancelled, has expired or has failed shows what it had published, with all its choices; null: nothing",
    },
    error: orNull(object({ code: { type: "string" }, message: { type: "string" } })),
    metadata: { type: "object", additionalProperties: { type: "string" } },
    webhook,
    retried_from: { ...nullable("string"), description: "The job that it repeats" },
  }),
  TimeEstimate: object({
    p50: { ...seconds, description: "Unix seconds; half of such jobs are earlier" },
    p90: { ...seconds, description: "Unix seconds; nine of ten are earlier" },
  }),
  DeletedJob: object({ id: { type: "string" }, object: { const: "job" }, deleted: { const: true } }),
  JobList: list("Job", true),
  JobEvent: {
    description: "The `data` of an event",
    anyOf: [
      { title: "start, restart", ...object({ attempt: { type: "integer" } }) },
      {
        title: "delta",
        type: "object",
        properties: {
          choice: { type: "integer", description: "Absent: the first choice" },
          text: { type: "string" },
          reasoning: { type: "string" },
          tool_calls: { type: "array", items: toolCallDelta },
          logprobs: { type: "array", items: tokenLogprob("top"), description: "Of the tokens of `text`" },
          finish_reason: {
            enum: ["stop", "length", "tool_calls"],
            description: "How a choice after the first ended; the first one's stands in `end`",
          },
        },
      },
      { title: "error", ...object({ code: { type: "string" }, message: { type: "string" } }) },
      {
        title: "end",
        ...object({
          status: { enum: ["completed", "failed", "cancelled", "expired"] },
          finish_reason: { enum: ["stop", "length", "tool_calls", null] },
          usage: orNull(ref("Usage")),
        }),
      },
    ],
  },
  FileUpload: {
    type: "object",
    properties: {
      file: {
        type: "string",
        contentMediaType: "application/octet-stream",
        description: "Lines of JSON in UTF-8",
      },
      purpose: { const: "batch" },
      "expires_after[anchor]": { const: "created_at" },
      "expires_after[seconds]": { type: "integer", minimum: 3_600, maximum: 2_592_000 },
    },
    required: ["file", "purpose"],
    additionalProperties: false,
  },
  File: object(
    {
      id: { type: "string", pattern: "^file-" },
      object: { const: "file" },
      bytes: { type: "integer", minimum: 0 },
      created_at: wholeSeconds,
      expires_at: { ...wholeSeconds, description: "When it is removed; absent: when somebody deletes it" },
      filename: { type: "string" },
      purpose: { enum: FILE_PURPOSES },
      status: { enum: ["uploaded", "processed", "error"] },
    },
    ["expires_at"],
  ),
  DeletedFile: object({ id: { type: "string" }, object: { const: "file" }, deleted: { const: true } }),
  FileList: list("File", true),
  ...batchSchemas,
  Model: object({
    id: { type: "string" },
    object: { const: "model" },
    created: { type: "integer" },
    owned_by: { type: "string" },
    kind: { enum: ["chat", "embedding"], description: "`embedding`: it gives vectors and no text" },
    ready: { type: "boolean", description: "A worker serves it now" },
    workers: { type: "integer" },
    aliases: { type: "array", items: { type: "string" } },
    context_tokens: { type: "integer" },
    architecture: nullable("string"),
    parameters: nullable("integer"),
    experts,
    speed,
    estimates,
  }),
  ModelList: list("Model", false),
  Worker: object({
    id: { type: "string" },
    host: { type: "string" },
    pid: { type: "integer" },
    engine_pid: nullable("integer"),
    model: { type: "string" },
    architecture: { type: "string" },
    experts,
    slots: { type: "integer" },
    busy: { type: "integer" },
    state: { enum: WORKER_STATES },
    started_at: seconds,
    last_seen_at: seconds,
    speed,
    estimates,
  }),
  WorkerList: list("Worker", false),
  Readiness: object(
    {
      status: { enum: ["ready", "not_ready"] },
      reasons: {
        type: "array",
        items: { enum: ["draining", "redis_unavailable", "redis_refuses_writes", "redis_evicts"] },
      },
      message: { type: "string", description: "What is wrong with Redis, and its cure" },
    },
    ["message"],
  ),
} as const;
