import { getLlama, LlamaLogLevel } from "node-llama-cpp";
import type { Driver } from "./driver/driver.ts";
import { openDriver } from "./driver/open-driver.ts";
import type { LoadedChatModel } from "./load-model.ts";

export const SLOTS = 5;
export const SLOT_TOKENS = 384;

export type ExactModel = Pick<LoadedChatModel, "llama" | "model" | "driver"> & AsyncDisposable;

/**
 * Opens a model of F32 weights with caches in F32: where they are rounded, how a prompt was cut and who was beside it
 * decides far more often between two tokens that are about as likely.
 */
export async function openExactModel(
  modelPath: string,
  driver: Driver["name"],
  slotTokens = SLOT_TOKENS,
): Promise<ExactModel> {
  const llama = await getLlama({ build: "never", gpu: false, maxThreads: 1, logLevel: LlamaLogLevel.error });
  const model = await llama.loadModel({ modelPath });
  const stepTokens = 512;
  const context = await model.createContext({
    sequences: SLOTS,
    contextSize: slotTokens,
    batchSize: stepTokens,
    threads: 1,
    experimentalKvCacheKeyType: "F32",
    experimentalKvCacheValueType: "F32",
  });
  const sizes = { slots: SLOTS, slotTokens, stepTokens };
  return {
    llama,
    model,
    driver: openDriver({ llama, model, context }, { driver, ...sizes }),
    [Symbol.asyncDispose]: async () => {
      await context.dispose();
      await model.dispose();
      await llama.dispose();
    },
  };
}
