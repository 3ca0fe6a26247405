import { QuernError } from "@quern/shared/contract/errors";
import { readGgufHeader } from "@quern/shared/models/gguf-header";
import { checkAdapters } from "../../fit/adapters.ts";
import { fits } from "../../fit/plan-memory.ts";
import type { PlanReport } from "../../fit/plan-report.ts";
import { settleFlashAttention } from "../../fit/settle-flash-attention.ts";
import { describeCure, planFor } from "../../fit/settle-plan.ts";
import type { EngineOptions } from "../../protocol/engine-options.ts";
import { toJobError } from "../../protocol/job-error.ts";
import { openDevice } from "./open-device.ts";

// A child that looks at the device it is pinned to, says how a model would lie there, and ends. Nothing is loaded.
process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));

process.once("message", async (options: EngineOptions) => {
  const report = await plan(options).catch(
    (error: unknown): PlanReport => ({ type: "failed", error: toJobError(error) }),
  );
  process.send?.(report, undefined, undefined, () => process.exit());
});

async function plan(options: EngineOptions): Promise<PlanReport> {
  const header = await readGgufHeader(options.modelPath);
  const adapterBytes = await checkAdapters(options.loras, header);
  const { memories, device } = await openDevice(options, () => {});
  const flashAttention = settleFlashAttention(options, header, device);
  const request = { ...options, flashAttention, adapterBytes };
  const planned = planFor(header, request, memories);
  if (planned === null) {
    throw new QuernError(
      "model_file_invalid",
      `${options.modelPath} does not say enough of its layers to plan its memory: take a Qwen model`,
    );
  }
  const cure = fits(planned) ? null : describeCure(planned, header, request, memories);
  return { type: "planned", plan: planned, cure };
}
