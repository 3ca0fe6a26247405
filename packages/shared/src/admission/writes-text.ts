import { QuernError } from "../contract/errors.ts";
import type { ModelDescription } from "../contract/worker.ts";

/** @throws QuernError `invalid_request` for a model that gives vectors only, naming those that write. */
export function refuseTextOfEmbeddingModel(
  { model, kind }: Pick<ModelDescription, "model" | "kind">,
  served: readonly Pick<ModelDescription, "model" | "kind">[],
): void {
  if (kind === "chat") return;
  const writers = served.flatMap((other) => (other.kind === "chat" ? other.model : []));
  throw new QuernError(
    "invalid_request",
    `${model} gives vectors and writes no text: send it to /v1/embeddings, or ask a chat model (served: ${writers.join(", ") || "none yet"})`,
    { param: "model" },
  );
}
