import { QuernError } from "@quern/shared/contract/errors";

/** What C++, ggml and V8 write when they get no memory. */
const OUT_OF_MEMORY = /bad_alloc|out of memory|failed to allocate|unable to allocate|cannot allocate/i;

/**
 * Why a child that died while it loaded its model did so, with the cure.
 * `death`: how it ended; `output`: the end of what it wrote.
 */
export function explainLoadDeath(modelPath: string, death: string, output: string): QuernError {
  const cure = "give it fewer slots or less context (--slots, --context-tokens), or free memory";
  if (OUT_OF_MEMORY.test(output)) {
    return new QuernError(
      "model_does_not_fit",
      `memory ran out while the engine loaded ${modelPath} (${death}): ${cure}`,
    );
  }
  if (death.startsWith("SIGKILL")) {
    return new QuernError(
      "model_load_failed",
      `the engine was killed while it loaded ${modelPath} (${death}). If it was not you, the system did it because memory ` +
        `ran out: ${cure}`,
    );
  }
  return new QuernError("model_load_failed", `the engine died while it loaded ${modelPath}: ${death}`);
}
