import type { JobSummary } from "../contract/job.ts";
import { type ChatCompletion, toChatCompletion } from "./chat-response.ts";
import { type TextCompletion, toTextCompletion } from "./completion-response.ts";
import { type EmbeddingsResponse, toEmbeddingsResponse } from "./embeddings-response.ts";
import { type ResponseObject, toResponse } from "./responses-response.ts";

export type EndpointResponse = ChatCompletion | TextCompletion | EmbeddingsResponse | ResponseObject;

/** What a job's endpoint answers; null: it has no result. A cancelled job's text, as far as it came, is one. */
export function toEndpointResponse(
  job: Pick<
    JobSummary,
    | "id"
    | "endpoint"
    | "model"
    | "class"
    | "createdAtMs"
    | "echoed"
    | "state"
    | "endedAtMs"
    | "result"
    | "usage"
    | "error"
  >,
): EndpointResponse | null {
  const { id: jobId, model, createdAtMs, result, usage } = job;
  if (result === null || usage === null) return null;
  if ("vectors" in result) return toEmbeddingsResponse({ model, result, usage });
  if (job.endpoint === "/v1/responses") return toResponse(job);
  const ended = { jobId, model, createdAtMs, result, usage };
  return job.endpoint === "/v1/completions"
    ? toTextCompletion(ended)
    : toChatCompletion({ ...ended, class: job.class });
}
