import type { Llama, LlamaContext, LlamaModel } from "node-llama-cpp";
import { BatchDriver } from "./batch-driver.ts";
import type { Driver } from "./driver.ts";
import { nativeInterface } from "./native-interface.ts";
import { SequenceDriver } from "./sequence-driver.ts";

export interface DriverOptions {
  /** The fast one falls back to the other where this build of the library does not allow it. */
  driver: Driver["name"];
  slots: number;
  /** What the cache of one slot can hold. */
  slotTokens: number;
  /** The batch size of the context. */
  stepTokens: number;
}

/** The driver of a fresh context, whose sequences nobody else may use from then on. */
export function openDriver(
  { llama, model, context }: { llama: Llama; model: LlamaModel; context: LlamaContext },
  { driver, slots, slotTokens, stepTokens }: DriverOptions,
): Driver {
  const native = driver === "batch" ? nativeInterface(llama, model, context) : null;
  if (native !== null) return new BatchDriver(native, { stepTokens, slotTokens });
  const sequences = Array.from({ length: slots }, () => context.getSequence());
  return new SequenceDriver(model, sequences, { stepTokens });
}
