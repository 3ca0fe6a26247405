import { QuernError } from "@quern/shared/contract/errors";
import type { KnownModel } from "./known-models.ts";

/** @throws QuernError `invalid_request` for a model that gives vectors only, naming those that write. */
export function refuseTextOfEmbeddingModel(
  { description: { model, kind } }: KnownModel,
  served: readonly KnownModel[],
): void {
  if (kind === "chat") return;
  const writers = served.flatMap(({ description }) => (description.kind === "chat" ? description.model : []));
  throw new QuernError(
    "invalid_request",
    `${model} gives vectors and writes no text: send it to /v1/embeddings, or ask a chat model (served: ${writers.join(", ") || "none yet"})`,
    { param: "model" },
  );
}
