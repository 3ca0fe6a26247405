import { refuseUnboundedVectors } from "../contract/embedding.ts";
import { isEmbeddingRequest, type JobRequest } from "../contract/job.ts";
import type { ModelDescription } from "../contract/worker.ts";
import { refuseUnboundedAnswer } from "./answer-bounds.ts";
import { refuseTextOfEmbeddingModel } from "./writes-text.ts";

/**
 * Refuses what the model can't give, as far as that can be told without counting tokens.
 * @param served all models, to name those that can.
 * @throws QuernError `invalid_request`.
 */
export function refuseUnbounded(
  request: JobRequest,
  description: ModelDescription,
  served: readonly ModelDescription[],
): void {
  if (isEmbeddingRequest(request)) {
    const { embeddingDimensions } = description;
    if (embeddingDimensions !== null) refuseUnboundedVectors(request, embeddingDimensions);
    return;
  }
  refuseTextOfEmbeddingModel(description, served);
  refuseUnboundedAnswer(request, description);
}
