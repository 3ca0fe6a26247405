import type { JobSummary } from "../contract/job.ts";
import { type ChatCompletion, toChatCompletion } from "./chat-response.ts";
import { type EmbeddingsResponse, toEmbeddingsResponse } from "./embeddings-response.ts";

export type EndpointResponse = ChatCompletion | EmbeddingsResponse;

/** What a job's endpoint answers; null: it has no result. A cancelled job's text, as far as it came, is one. */
export function toEndpointResponse(
  job: Pick<JobSummary, "id" | "model" | "createdAtMs" | "result" | "usage">,
): EndpointResponse | null {
  const { id: jobId, model, createdAtMs, result, usage } = job;
  if (result === null || usage === null) return null;
  if ("vectors" in result) return toEmbeddingsResponse({ model, result, usage });
  return toChatCompletion({ jobId, model, createdAtMs, result, usage });
}
