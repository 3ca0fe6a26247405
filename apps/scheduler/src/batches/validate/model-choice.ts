import type { Endpoint } from "@quern/shared/contract/job";
import type { ModelDescription } from "@quern/shared/contract/worker";

/**
 * The model that a batch's lines name. `unknown`: no worker ever served it. `unfit`: it can't do what the endpoint asks.
 * `names`: all that it answers to, the one that was asked for first.
 */
export type ModelChoice =
  | { kind: "found"; model: string; names: readonly string[] }
  | { kind: "unfit" | "unknown"; message: string; names: readonly string[] };

export function resolveModel(
  name: string,
  endpoint: Endpoint,
  models: readonly ModelDescription[],
): ModelChoice {
  const wanted = endpoint === "/v1/embeddings" ? "embedding" : "chat";
  const found = findModel(name, models);
  const fit = models.flatMap(({ model, kind }) => (canServe(kind, wanted) ? [model] : []));
  const served = `Served for ${endpoint}: ${fit.join(", ") || "none yet"}.`;
  if (found === undefined) {
    const message = `No worker serves the model '${name.slice(0, 100)}'. ${served} Use one of them, or start a worker for it.`;
    return { kind: "unknown", message, names: [name] };
  }
  const names = [name, found.model, ...found.aliases];
  if (canServe(found.kind, wanted)) return { kind: "found", model: found.model, names };
  const message = `The model '${found.model}' gives vectors and writes no text. ${served} Use one of them, or make the batch for /v1/embeddings.`;
  return { kind: "unfit", message, names };
}

export function findModel(name: string, models: readonly ModelDescription[]): ModelDescription | undefined {
  return models.find(({ model, aliases }) => model === name || aliases.includes(name));
}

/** A chat model gives vectors too. */
function canServe(kind: ModelDescription["kind"], wanted: ModelDescription["kind"]): boolean {
  return kind === wanted || kind === "chat";
}
