import { QuernError } from "@quern/shared/contract/errors";
import { OUT_OF_MEMORY_CURE, tellsOutOfMemory } from "../fit/out-of-memory.ts";

/**
 * Why a child that died while it loaded its model did so, with the cure.
 * `death`: how it ended; `output`: the end of what it wrote.
 */
export function explainLoadDeath(modelPath: string, death: string, output: string): QuernError {
  if (tellsOutOfMemory(output)) {
    return new QuernError(
      "model_does_not_fit",
      `memory ran out while the engine loaded ${modelPath} (${death}): ${OUT_OF_MEMORY_CURE}`,
    );
  }
  if (death.startsWith("SIGKILL")) {
    return new QuernError(
      "model_load_failed",
      `the engine was killed while it loaded ${modelPath} (${death}). If it was not you, the system did it because memory ` +
        `ran out: ${OUT_OF_MEMORY_CURE}`,
    );
  }
  return new QuernError("model_load_failed", `the engine died while it loaded ${modelPath}: ${death}`);
}
