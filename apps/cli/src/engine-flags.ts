import { GPU_CHOICE, GPU_FORMS } from "@quern/shared/models/gpu-choice";
import { MAX_SLOTS } from "@quern/shared/models/kv-cache";
import { type Command, InvalidArgumentError, Option } from "commander";

/** How an engine is set up, as flags. What is absent is as the catalogue says. */
export interface EngineFlags {
  slots?: number;
  contextTokens?: number;
  kvType?: string;
  flashAttention?: string;
  gpuLayers?: string;
  /** Of each worker in turn. */
  gpu?: string[];
}

export function engineFlags(command: Command): Command {
  return command
    .option(
      "--slots <count>",
      "jobs that a worker runs at once (default: the catalogue's)",
      integerFrom(1, MAX_SLOTS),
    )
    .option(
      "--context-tokens <count>",
      "prompt and answer of a job together (default: the catalogue's)",
      integerFrom(64, 2 ** 24),
    )
    .addOption(
      new Option(
        "--kv-type <type>",
        "how slots are kept: q8_0 takes half the memory (default: the catalogue's)",
      ).choices(["f16", "q8_0"]),
    )
    .option(
      "--gpu <device>",
      `where a worker computes: ${GPU_FORMS}; give it again to spread workers over GPUs in turn (default: all that llama.cpp finds)`,
      (device: string, devices: string[] | undefined) => [...(devices ?? []), gpuChoice(device)],
    )
    .option(
      "--gpu-layers <count>",
      "layers on the GPU: a number, max, or auto for as many as fit (default: the catalogue's)",
      layers,
    )
    .addOption(
      new Option(
        "--flash-attention <mode>",
        "fused attention, which takes less memory; q8_0 slots need it (default: the catalogue's)",
      ).choices(["on", "off", "auto"]),
    );
}

/** The environment that tells a worker the same. `worker` counts from 0 over all workers of a start. */
export function engineVariables(flags: EngineFlags, worker: number): Record<string, string> {
  const { slots, contextTokens, kvType, flashAttention, gpuLayers, gpu = [] } = flags;
  const values = {
    QUERN_SLOTS: slots,
    QUERN_CONTEXT_TOKENS: contextTokens,
    QUERN_KV_TYPE: kvType,
    QUERN_FLASH_ATTENTION: flashAttention,
    QUERN_GPU_LAYERS: gpuLayers,
    QUERN_GPU: gpu[worker % gpu.length],
  };
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
  );
}

export function integerFrom(lowest: number, highest: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= lowest && value <= highest) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${lowest} to ${highest}.`);
  };
}

function gpuChoice(text: string): string {
  if (GPU_CHOICE.test(text)) return text;
  throw new InvalidArgumentError(`It must be ${GPU_FORMS}.`);
}

function layers(text: string): string {
  if (/^(\d+|max|auto)$/.test(text)) return text;
  throw new InvalidArgumentError("It must be a whole number, max or auto.");
}
