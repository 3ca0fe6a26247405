import type { JobSize } from "./estimate.ts";
import { isEmbeddingRequest, type JobRequest } from "./job.ts";

/** The parts of a request that take time. Cheap: nothing is counted that would have to be encoded first. */
export function jobSizeOf(request: JobRequest): JobSize {
  if (isEmbeddingRequest(request)) {
    return { promptCharacters: lengthOf(request.inputs), maxTokens: null };
  }
  const { completion, messages, maxTokens } = request;
  const texts =
    completion === null
      ? messages.map(({ content }) => content)
      : [completion.prompt, completion.suffix ?? ""];
  return { promptCharacters: lengthOf(texts), maxTokens };
}

function lengthOf(texts: readonly string[]): number {
  return texts.reduce((sum, { length }) => sum + length, 0);
}
