import { setImmediate } from "node:timers/promises";
import { QuernError } from "@quern/shared/contract/errors";
import { InsufficientMemoryError } from "node-llama-cpp";
import { describePlan } from "../../fit/describe-plan.ts";
import { OUT_OF_MEMORY_CURE, tellsOutOfMemory } from "../../fit/out-of-memory.ts";
import type { MemoryPlan } from "../../fit/plan-memory.ts";

/** What Quern is made for and tested with (`general.architecture` of the file). */
const ARCHITECTURES = "qwen2, qwen2moe, qwen3 and qwen3moe";

/** What llama.cpp says → what it means and what helps. `$1` is the name that the pattern finds. */
const KNOWN_FAILURES: [RegExp, "model_load_failed" | "model_file_invalid", string][] = [
  [
    /unknown model architecture: '(.*?)'/,
    "model_load_failed",
    `this llama.cpp does not know its architecture "$1"; Quern serves ${ARCHITECTURES}`,
  ],
  [
    /tensor '(.*?)' has invalid data/,
    "model_file_invalid",
    "its weights are damaged ($1 and others hold NaN or infinity); download it again",
  ],
  [
    /Resource temporarily unavailable/,
    "model_load_failed",
    "the system gives it no more threads or memory; raise its limits (ulimit -u, ulimit -v, or the container's)",
  ],
];

/** One error with its cure, of what the library threw and llama.cpp logged. Refusals of our own pass as they are. */
export async function explainLoadFailure(
  error: unknown,
  complaints: readonly string[],
  modelPath: string,
  plan: MemoryPlan | null,
): Promise<QuernError> {
  if (error instanceof QuernError) return error;
  // llama.cpp's log crosses from another thread, and may arrive after the failure that it explains.
  await setImmediate();
  for (const [pattern, code, meaning] of KNOWN_FAILURES) {
    const found = complaints.map((line) => pattern.exec(line)).find((match) => match !== null);
    if (found) {
      const text = meaning.replace("$1", found[1] ?? "");
      return new QuernError(code, `${modelPath} can't be loaded: ${text}`, { cause: error });
    }
  }
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof InsufficientMemoryError || complaints.some(tellsOutOfMemory)) {
    return outOfMemory(modelPath, message, plan, error);
  }
  const said = [message, ...new Set(complaints.slice(-3))].join("; ");
  return new QuernError("model_load_failed", `llama.cpp can't load ${modelPath}: ${said}`, { cause: error });
}

function outOfMemory(
  modelPath: string,
  message: string,
  plan: MemoryPlan | null,
  cause: unknown,
): QuernError {
  const planned = plan === null ? "" : `. The plan was: ${describePlan(plan)}`;
  return new QuernError(
    "model_does_not_fit",
    `memory ran out while ${modelPath} was loaded (${message}): ${OUT_OF_MEMORY_CURE}${planned}`,
    { cause },
  );
}
