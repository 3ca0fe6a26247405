import {
  batchBodySchema,
  batchEventsQuerySchema,
  batchListQuerySchema,
} from "@quern/shared/openai/batch-requests";
import { chatBodySchema } from "@quern/shared/openai/chat-body-schema";
import { completionBodySchema } from "@quern/shared/openai/completion-request";
import { TTL_HEADER } from "@quern/shared/openai/deadline";
import { embeddingsBodySchema } from "@quern/shared/openai/embeddings-request";
import { fileListQuerySchema } from "@quern/shared/openai/file-requests";
import { jobBodySchema, jobListQuerySchema, MAX_WAIT_SECONDS } from "@quern/shared/openai/job-requests";
import { responsesBodySchema } from "@quern/shared/openai/responses-body-schema";
import { responseQuerySchema } from "@quern/shared/openai/responses-query";
import { z } from "zod";
import {
  batchEvents,
  batchRequest,
  completedBatch,
  failedBatch,
  newBatch,
  retriedBatch,
  runningBatch,
} from "./batch-examples.ts";
import {
  chatCompletion,
  chatRequest,
  chatStream,
  completedJob,
  completionRequest,
  type DocumentedFailure,
  embeddingList,
  embeddingsRequest,
  errorExample,
  failedJob,
  jobEvents,
  jobRequest,
  queuedJob,
  response,
  responseStream,
  responsesRequest,
  textCompletion,
  uploadedFile,
} from "./examples.ts";
import { schemas as replySchemas } from "./schemas.ts";

type Json = Record<string, unknown>;

const chatRequestSchema = inputSchema(chatBodySchema);
const jobRequestSchema = inputSchema(jobBodySchema);

const schemas = {
  ChatRequest: chatRequestSchema,
  CompletionRequest: inputSchema(completionBodySchema),
  EmbeddingsRequest: inputSchema(embeddingsBodySchema),
  ResponsesRequest: inputSchema(responsesBodySchema),
  JobRequest: {
    ...jobRequestSchema,
    properties: {
      ...(jobRequestSchema.properties as Json),
      body: {
        description: "What the endpoint takes",
        anyOf: ["ChatRequest", "CompletionRequest", "EmbeddingsRequest", "ResponsesRequest"].map((name) => ({
          $ref: `#/components/schemas/${name}`,
        })),
      },
    },
  },
  BatchRequest: inputSchema(batchBodySchema),
  ...replySchemas,
};

/** The whole API in OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0); request bodies come from their zod schemas. */
export function openApiDocument(): Json {
  return {
    openapi: "3.1.0",
    info: {
      title: "Quern",
      version: "0.1.0",
      license: { name: "MIT", identifier: "MIT" },
      description:
        "A job queue in front of Qwen models. Every request becomes a job: ask and wait (`/v1/chat/completions`, `/v1/responses`, `/v1/completions`, `/v1/embeddings`), or submit, " +
        "follow, cancel and pick up later (`/v1/jobs`); or hand in many at once, as a file of lines (`/v1/batches`).",
    },
    servers: [{ url: "http://127.0.0.1:8080" }],
    paths: {
      "/v1/chat/completions": {
        post: {
          operationId: "createChatCompletion",
          summary: "Ask and wait",
          description:
            "OpenAI's chat completions. The header `x-quern-job-id` of the answer names the job. A caller that hangs up cancels it, " +
            "unless it sends `store`, `background` or an Idempotency-Key. What each parameter does, and its limits, stand in docs/chat-completions.md.",
          parameters: [ttlSeconds, idempotencyKey],
          requestBody: body("ChatRequest", chatRequest),
          responses: {
            200: {
              description:
                "The answer; with `stream: true`, chunks as server-sent events that end with `data: [DONE]`",
              headers: { "x-quern-job-id": { schema: { type: "string" } }, ...replayed },
              content: {
                "application/json": { schema: ref("ChatCompletion"), example: chatCompletion },
                "text/event-stream": { schema: { type: "string" }, example: chatStream },
              },
            },
            202: { ...json("With `background`, unless it streams: the job", "Job"), headers: replayed },
            ...errors(400, 403, 404, 408, 409, 410, 413, 422, 500, 503, 504),
          },
        },
      },
      "/v1/completions": {
        post: {
          operationId: "createCompletion",
          summary: "Have a text gone on from, or a gap filled, and wait",
          description:
            "OpenAI's older completions, without a chat template. With `suffix` the gap between both is filled, by models that were trained " +
            "for it. The header `x-quern-job-id` of the answer names the job. A caller that hangs up cancels it. docs/completions.md says more.",
          parameters: [ttlSeconds, idempotencyKey],
          requestBody: body("CompletionRequest", completionRequest),
          responses: {
            200: {
              description:
                "The answer; with `stream: true`, chunks as server-sent events that end with `data: [DONE]`",
              headers: { "x-quern-job-id": { schema: { type: "string" } }, ...replayed },
              content: {
                "application/json": { schema: ref("TextCompletion"), example: textCompletion },
                "text/event-stream": { schema: { type: "string" } },
              },
            },
            ...errors(400, 403, 404, 408, 409, 410, 413, 422, 500, 503, 504),
          },
        },
      },
      "/v1/embeddings": {
        post: {
          operationId: "createEmbeddings",
          summary: "Ask for vectors and wait",
          description:
            "OpenAI's embeddings. Each input has the model's context for itself; the vectors of one request may have 2,097,152 numbers, " +
            "its inputs 300,000 tokens. The header `x-quern-job-id` of the answer names the job. A caller that hangs up cancels it.",
          parameters: [ttlSeconds, idempotencyKey],
          requestBody: body("EmbeddingsRequest", embeddingsRequest),
          responses: {
            200: {
              ...json("A vector for each input, in their order", "EmbeddingList", { vectors: embeddingList }),
              headers: { "x-quern-job-id": { schema: { type: "string" } }, ...replayed },
            },
            ...errors(400, 403, 404, 408, 409, 410, 413, 422, 500, 503, 504),
          },
        },
      },
      "/v1/responses": {
        post: {
          operationId: "createResponse",
          summary: "Have a response made, and wait for it, stream it, or come back for it",
          description:
            "OpenAI's responses. The header `x-quern-job-id` of the answer names the job. A caller that hangs up cancels it, " +
            "unless it sends `store: true`, `background` or an Idempotency-Key. What each parameter does stands in docs/responses.md.",
          parameters: [ttlSeconds, idempotencyKey],
          requestBody: body("ResponsesRequest", responsesRequest),
          responses: {
            200: {
              description:
                "The response; with `background`, as it stands at once; with `stream: true`, its events, up to the one that ends it",
              headers: { "x-quern-job-id": { schema: { type: "string" } }, ...replayed },
              content: {
                "application/json": { schema: ref("Response"), example: response },
                "text/event-stream": { schema: { type: "string" }, example: responseStream },
              },
            },
            ...errors(400, 403, 404, 408, 409, 410, 413, 422, 500, 503, 504),
          },
        },
      },
      "/v1/responses/{id}": {
        get: {
          operationId: "getResponse",
          summary: "Read a response, or follow it",
          parameters: [responseId, ...queryParameters(responseQuerySchema)],
          responses: {
            200: {
              description:
                "The response as it stands; with `stream=true`, its events after the number `starting_after`, or all of them",
              content: {
                "application/json": { schema: ref("Response"), example: response },
                "text/event-stream": { schema: { type: "string" }, example: responseStream },
              },
            },
            ...errors(400, 403, 404, 410, 503),
          },
        },
        delete: {
          operationId: "deleteResponse",
          summary: "Erase a response, and its job",
          parameters: [responseId],
          responses: { 200: json("It is gone", "DeletedResponse"), ...errors(403, 404, 503) },
        },
      },
      "/v1/responses/{id}/cancel": {
        post: {
          operationId: "cancelResponse",
          summary: "Cancel a response",
          description: "It keeps what it has said. One that has ended stays as it is.",
          parameters: [responseId],
          responses: { 200: json("The response", "Response"), ...errors(403, 404, 503) },
        },
      },
      "/v1/jobs": {
        post: {
          operationId: "createJob",
          summary: "Submit a job",
          description:
            "Accepted jobs are kept until they end, and readable until `expires_at` after that. docs/jobs.md says more.",
          parameters: [idempotencyKey],
          requestBody: body("JobRequest", jobRequest),
          responses: {
            202: { ...json("The job", "Job", { queued: queuedJob }), headers: replayed },
            ...errors(400, 403, 404, 408, 409, 410, 413, 422, 503),
          },
        },
        get: {
          operationId: "listJobs",
          summary: "List jobs",
          description:
            "Go on with `after=<last_id>` while `has_more` is true. One request looks at 10,000 jobs at most: with `status` or `model` a " +
            "page may hold fewer than `limit` jobs, or none, and still have more.",
          parameters: queryParameters(jobListQuerySchema),
          responses: { 200: json("A page of jobs", "JobList"), ...errors(400, 403, 503) },
        },
      },
      "/v1/jobs/{id}": {
        get: {
          operationId: "getJob",
          summary: "Read a job, or wait for it",
          parameters: [
            jobId,
            {
              name: "wait",
              in: "query",
              description: `Answer when the job has ended, after so many seconds at the latest (at most ${MAX_WAIT_SECONDS})`,
              schema: { type: "number", minimum: 0, default: 0 },
            },
          ],
          responses: {
            200: json("The job", "Job", { queued: queuedJob, completed: completedJob, failed: failedJob }),
            ...errors(400, 403, 404, 503),
          },
        },
        delete: {
          operationId: "deleteJob",
          summary: "Erase a job",
          description:
            "Nothing of it is kept: neither what was asked and answered, nor its events, nor its Idempotency-Key. One that runs is stopped.",
          parameters: [jobId],
          responses: { 200: json("It is gone", "DeletedJob"), ...errors(403, 404, 503) },
        },
      },
      "/v1/jobs/{id}/retry": {
        post: {
          operationId: "retryJob",
          summary: "Ask again what a job asked that failed, was cancelled, or has expired",
          description:
            "A new job, without a deadline; `retried_from` names the old one, which stays as it is.",
          parameters: [jobId, idempotencyKey],
          responses: {
            202: { ...json("The new job", "Job", { queued: queuedJob }), headers: replayed },
            ...errors(400, 403, 404, 409, 410, 422, 503),
          },
        },
      },
      "/v1/jobs/{id}/cancel": {
        post: {
          operationId: "cancelJob",
          summary: "Cancel a job",
          description:
            "A queued job ends at once, a running one within a step, keeping what it wrote. An ended job stays as it is.",
          parameters: [jobId],
          responses: { 200: json("The job", "Job"), ...errors(403, 404, 503) },
        },
      },
      "/v1/jobs/{id}/events": {
        get: {
          operationId: "followJob",
          summary: "Follow a job's tokens",
          description:
            "Server-sent events `start`, `delta`, `restart`, `error`, `end`; ids are `<attempt>-<seq>`. The `text`s of one choice's " +
            "deltas after the last `restart` concatenate to its content. The stream can be read again, also after the job ended.",
          parameters: [
            jobId,
            {
              name: "Last-Event-ID",
              in: "header",
              description: "Begin after this event (`?after=` does the same)",
              schema: { type: "string", pattern: "^\\d+-\\d+$" },
            },
          ],
          responses: {
            200: {
              description: "The events",
              content: { "text/event-stream": { schema: ref("JobEvent"), example: jobEvents } },
            },
            204: { description: "The job has ended, and `Last-Event-ID` is its `end`" },
            ...errors(400, 403, 404, 410, 503),
          },
        },
      },
      "/v1/files": {
        post: {
          operationId: "createFile",
          summary: "Upload a file of requests",
          description:
            "Streamed into the file store, and there whole or not at all. Its lines are judged by the batch that uses it. docs/files.md says more.",
          requestBody: {
            required: true,
            content: { "multipart/form-data": { schema: ref("FileUpload") } },
          },
          responses: {
            200: json("The file", "File", { uploaded: uploadedFile }),
            ...errors(400, 403, 413, 500, 503, 507),
          },
        },
        get: {
          operationId: "listFiles",
          summary: "List files",
          parameters: queryParameters(fileListQuerySchema),
          responses: { 200: json("A page of files", "FileList"), ...errors(400, 403, 503) },
        },
      },
      "/v1/files/{id}": {
        get: {
          operationId: "getFile",
          summary: "Read what is known of a file",
          parameters: [fileId],
          responses: { 200: json("The file", "File", { uploaded: uploadedFile }), ...errors(403, 404, 503) },
        },
        delete: {
          operationId: "deleteFile",
          summary: "Delete a file",
          description: "Not while a batch that is not over still reads it.",
          parameters: [fileId],
          responses: { 200: json("It is gone", "DeletedFile"), ...errors(403, 404, 409, 503) },
        },
      },
      "/v1/files/{id}/content": {
        get: {
          operationId: "getFileContent",
          summary: "Download a file, or a part of it",
          parameters: [
            fileId,
            {
              name: "Range",
              in: "header",
              description: "One range of bytes (RFC 9110)",
              schema: { type: "string" },
            },
          ],
          responses: {
            200: { description: "All of it", content: fileContent },
            206: {
              description: "The part that `Range` asks for",
              headers: { "content-range": { schema: { type: "string" } } },
              content: fileContent,
            },
            416: {
              description: "The range begins behind the end; `content-range` says how long the file is",
            },
            ...errors(403, 404, 500, 503),
          },
        },
      },
      "/v1/batches": {
        post: {
          operationId: "createBatch",
          summary: "Submit a batch",
          description:
            "OpenAI's batches: the lines of a file, each a request to one endpoint. Its input is read afterwards: what is wrong in there fails " +
            "the batch, not this request. Beside OpenAI's fields there are `dedupe` and `webhook`, and other windows. docs/batches-api.md says more.",
          parameters: [idempotencyKey],
          requestBody: body("BatchRequest", batchRequest),
          responses: {
            200: { ...json("The batch", "Batch", { submitted: newBatch }), headers: replayed },
            ...errors(400, 403, 408, 409, 410, 413, 422, 503),
          },
        },
        get: {
          operationId: "listBatches",
          summary: "List batches, the newest first",
          parameters: queryParameters(batchListQuerySchema),
          responses: { 200: json("A page of batches", "BatchList"), ...errors(400, 403, 503) },
        },
      },
      "/v1/batches/{id}": {
        get: {
          operationId: "getBatch",
          summary: "Read a batch",
          parameters: [batchId],
          responses: {
            200: json("The batch", "Batch", {
              running: runningBatch,
              completed: completedBatch,
              failed: failedBatch,
            }),
            ...errors(403, 404, 503),
          },
        },
      },
      "/v1/batches/{id}/cancel": {
        post: {
          operationId: "cancelBatch",
          summary: "Cancel a batch",
          description:
            "Lines that run are stopped, the rest is not begun; what was answered until then stays readable. A batch that is over, or just being " +
            "finished, stays as it is.",
          parameters: [batchId],
          responses: { 200: json("The batch", "Batch"), ...errors(403, 404, 503) },
        },
      },
      "/v1/batches/{id}/pause": {
        post: {
          operationId: "pauseBatch",
          summary: "Feed no more lines of a batch",
          description:
            "Lines that are under way come to their end, and its window runs on. A batch that is over, or being ended, stays as it is.",
          parameters: [batchId],
          responses: { 200: json("The batch", "Batch"), ...errors(403, 404, 503) },
        },
      },
      "/v1/batches/{id}/resume": {
        post: {
          operationId: "resumeBatch",
          summary: "Let a paused batch go on",
          parameters: [batchId],
          responses: { 200: json("The batch", "Batch"), ...errors(403, 404, 503) },
        },
      },
      "/v1/batches/{id}/retry-failed": {
        post: {
          operationId: "retryBatch",
          summary: "Submit the lines again that failed, were cancelled, or have expired",
          description:
            "A new batch under the same custom ids, of a file of just these lines; `retried_from` names the old one, which stays as it is.",
          parameters: [batchId, idempotencyKey],
          responses: {
            200: { ...json("The new batch", "Batch", { retried: retriedBatch }), headers: replayed },
            ...errors(400, 403, 404, 409, 410, 422, 503),
          },
        },
      },
      "/v1/batches/{id}/events": {
        get: {
          operationId: "followBatch",
          summary: "Follow a batch",
          description:
            "Server-sent events: `progress` when something changed, twice a second at most, and `end` with the whole batch. With " +
            "`?lines=true` each line of the output and the error file is a `line` event, as soon as it stands there; the ids of those are " +
            "`<bytes of the output>-<bytes of the errors>`.",
          parameters: [
            batchId,
            ...queryParameters(batchEventsQuerySchema),
            {
              name: "Last-Event-ID",
              in: "header",
              description: "Begin behind this line (`?after=` does the same)",
              schema: { type: "string", pattern: "^(\\d+-\\d+|end)$" },
            },
          ],
          responses: {
            200: {
              description: "The events",
              content: { "text/event-stream": { schema: ref("BatchEvent"), example: batchEvents } },
            },
            204: { description: "The batch is over, and `Last-Event-ID` is its `end`" },
            ...errors(400, 403, 404, 410, 503),
          },
        },
      },
      "/v1/models": {
        get: {
          operationId: "listModels",
          summary: "List models: those that are served, then the rest of the catalogue",
          responses: { 200: json("The models", "ModelList"), ...errors(403, 503) },
        },
      },
      "/v1/models/{id}": {
        get: {
          operationId: "getModel",
          summary: "Read a model by name or alias",
          parameters: [{ name: "id", in: "path", required: true, schema: { type: "string" } }],
          responses: { 200: json("The model", "Model"), ...errors(403, 404, 503) },
        },
      },
      "/v1/workers": {
        get: {
          operationId: "listWorkers",
          summary: "List the workers that are alive",
          responses: { 200: json("The workers", "WorkerList"), ...errors(403, 503) },
        },
      },
      "/openapi.json": {
        get: {
          operationId: "openApi",
          summary: "This document",
          responses: {
            200: {
              description: "It in OpenAPI 3.1",
              content: { "application/json": { schema: { type: "object" } } },
            },
          },
        },
      },
      "/healthz": {
        get: {
          operationId: "healthz",
          summary: "The process lives",
          responses: { 200: { description: "It does" } },
        },
      },
      "/readyz": {
        get: {
          operationId: "readyz",
          summary: "The gateway can accept work",
          responses: { 200: json("It can", "Readiness"), 503: json("It can't, and why", "Readiness") },
        },
      },
    },
    components: { schemas, responses: errorResponses() },
  };
}

const ttlSeconds = {
  name: TTL_HEADER,
  in: "header",
  description:
    "Seconds after which the answer is of no use any more: then the job is stopped (docs/deadlines.md)",
  schema: { type: "number", exclusiveMinimum: 0 },
};
const idempotencyKey = {
  name: "Idempotency-Key",
  in: "header",
  description:
    "The same key with the same body gets the same answer, from the same job; `idempotent-replayed: true` says that it is one",
  schema: { type: "string", minLength: 1, maxLength: 255 },
};
const fileContent = {
  "application/octet-stream": { schema: { type: "string", contentMediaType: "application/octet-stream" } },
};
const replayed = { "idempotent-replayed": { schema: { const: "true" } } };
const batchId = { name: "id", in: "path", required: true, schema: { type: "string", pattern: "^batch_" } };
const fileId = { name: "id", in: "path", required: true, schema: { type: "string", pattern: "^file-" } };
const jobId = { name: "id", in: "path", required: true, schema: { type: "string", pattern: "^job_" } };
const responseId = { name: "id", in: "path", required: true, schema: { type: "string", pattern: "^resp_" } };

function ref(name: keyof typeof schemas): Json {
  return { $ref: `#/components/schemas/${name}` };
}

function json(description: string, schema: keyof typeof schemas, examples?: Json): Json {
  const named = Object.entries(examples ?? {}).map(([name, value]) => [name, { value }]);
  const shown = named.length === 0 ? {} : { examples: Object.fromEntries(named) };
  return { description, content: { "application/json": { schema: ref(schema), ...shown } } };
}

function body(schema: keyof typeof schemas, example: unknown): Json {
  return { required: true, content: { "application/json": { schema: ref(schema), example } } };
}

const ERROR_DESCRIPTIONS: Record<DocumentedFailure, string> = {
  400: "The request is at fault; `param` names the field",
  403: "Without API keys no web page of another site is answered, and no request under a name that is not the gateway's (`QUERN_ALLOWED_HOSTS`)",
  404: "There is no such thing, or it is not yours",
  409: "The first request of this Idempotency-Key is just being accepted; or the job or batch is in no state for this; or a batch still reads the file",
  410: "Somebody cancelled the job before it ended; or what is asked for is no longer kept",
  408: "The body did not arrive in time, 60 s unless QUERN_BODY_TIMEOUT_SECONDS says otherwise",
  413: "The body, or the file, is too large",
  422: "Nine of ten such jobs would miss the deadline, as queue and workers stand; or the Idempotency-Key is another request's",
  500: "It went wrong on our side; with `x-should-retry: false` it would again, as for a request that kills its engine (`engine_crashed`)",
  503: "Not just now (`redis_unavailable`, `gateway_overloaded`, …); `Retry-After` says when to try again",
  507: "There is no room for files",
  504: "The job's deadline passed before it ended",
};

function errors(...statuses: DocumentedFailure[]): Json {
  return Object.fromEntries(
    statuses.map((status) => [status, { $ref: `#/components/responses/error${status}` }]),
  );
}

function errorResponses(): Json {
  const retryAfter = { headers: { "retry-after": { schema: { type: "integer" } } } };
  return Object.fromEntries(
    Object.entries(ERROR_DESCRIPTIONS).map(([status, description]) => [
      `error${status}`,
      {
        ...json(description, "Error", { error: errorExample(Number(status) as DocumentedFailure) }),
        ...(status === "503" ? retryAfter : {}),
      },
    ]),
  );
}

function inputSchema(schema: z.ZodType): Json {
  return withoutDialect(z.toJSONSchema(schema, { io: "input" }));
}

/** Of a query the output side says more: what arrives is text in any case. */
function queryParameters(schema: z.ZodObject): Json[] {
  const { properties = {} } = withoutDialect(z.toJSONSchema(schema, { io: "output" })) as {
    properties?: Json;
  };
  return Object.entries(properties).map(([name, property]) => ({ name, in: "query", schema: property }));
}

/** OpenAPI 3.1 has one dialect for all of its schemas. */
function withoutDialect({ $schema: _dialect, ...schema }: Json): Json {
  return schema;
}
