import { chatBodySchema } from "@quern/shared/openai/chat-body-schema";
import { jobBodySchema, jobListQuerySchema, MAX_WAIT_SECONDS } from "@quern/shared/openai/job-requests";
import { z } from "zod";
import { schemas } from "./schemas.ts";

type Json = Record<string, unknown>;

/** The whole API in OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0); request bodies come from their zod schemas. */
export function openApiDocument(): Json {
  return {
    openapi: "3.1.0",
    info: {
      title: "Quern",
      version: "0.1.0",
      license: { name: "MIT", identifier: "MIT" },
      description:
        "A job queue in front of Qwen models. Every request becomes a job: ask and wait (`/v1/chat/completions`), or submit, " +
        "follow, cancel and pick up later (`/v1/jobs`).",
    },
    servers: [{ url: "http://127.0.0.1:8080" }],
    paths: {
      "/v1/chat/completions": {
        post: {
          operationId: "createChatCompletion",
          summary: "Ask and wait",
          description:
            "OpenAI's chat completions. The header `x-quern-job-id` of the answer names the job. A caller that hangs up cancels it.",
          requestBody: jsonContent(inputSchema(chatBodySchema), chatExample),
          responses: {
            200: {
              description:
                "The answer; with `stream: true`, chunks as server-sent events that end with `data: [DONE]`",
              headers: { "x-quern-job-id": { schema: { type: "string" } } },
              content: {
                "application/json": { schema: ref("ChatCompletion") },
                "text/event-stream": { schema: { type: "string" } },
              },
            },
            ...errors(400, 403, 404, 413, 500, 503),
          },
        },
      },
      "/v1/jobs": {
        post: {
          operationId: "createJob",
          summary: "Submit a job",
          description: "Accepted jobs are kept until they end, and readable for a day after that.",
          requestBody: jsonContent(inputSchema(jobBodySchema), {
            endpoint: "/v1/chat/completions",
            body: chatExample,
            metadata: { order: "7" },
          }),
          responses: { 202: json("The job", "Job"), ...errors(400, 403, 404, 413, 503) },
        },
        get: {
          operationId: "listJobs",
          summary: "List jobs",
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
          responses: { 200: json("The job", "Job"), ...errors(400, 403, 404, 503) },
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
            "Server-sent events `start`, `delta`, `restart`, `error`, `end`; ids are `<attempt>-<seq>`. The `text`s of the deltas after " +
            "the last `restart` concatenate to the content. The stream can be read again, also after the job ended.",
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
            200: { description: "The events", content: { "text/event-stream": { schema: ref("JobEvent") } } },
            204: { description: "The job has ended, and `Last-Event-ID` is its `end`" },
            ...errors(400, 403, 404, 503),
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
    components: { schemas },
  };
}

const chatExample = {
  model: "tiny-qwen3",
  messages: [{ role: "user", content: "What is the capital of France?" }],
};

const jobId = { name: "id", in: "path", required: true, schema: { type: "string", pattern: "^job_" } };

function ref(name: keyof typeof schemas): Json {
  return { $ref: `#/components/schemas/${name}` };
}

function json(description: string, schema: keyof typeof schemas): Json {
  return { description, content: { "application/json": { schema: ref(schema) } } };
}

function jsonContent(schema: Json, example: unknown): Json {
  return { required: true, content: { "application/json": { schema, example } } };
}

const ERROR_DESCRIPTIONS: Record<number, string> = {
  400: "The request is at fault; `param` names the field",
  403: "Without API keys only this machine is answered",
  404: "There is no such thing, or it is not yours",
  413: "The body is too large",
  500: "It went wrong on our side",
  503: "Not just now; `Retry-After` says when to try again",
};

function errors(...statuses: number[]): Json {
  const retryAfter = { "retry-after": { schema: { type: "integer" } } };
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      {
        ...json(ERROR_DESCRIPTIONS[status] ?? "", "Error"),
        ...(status === 503 ? { headers: retryAfter } : {}),
      },
    ]),
  );
}

function inputSchema(schema: z.ZodType): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return rest;
}

function queryParameters(schema: z.ZodType): Json[] {
  const { properties = {} } = inputSchema(schema) as { properties?: Record<string, Json> };
  return Object.entries(properties).map(([name, property]) => ({ name, in: "query", schema: property }));
}
