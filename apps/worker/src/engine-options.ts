import { QuernError } from "@quern/shared/contract/errors";
import type { CatalogueEntry } from "@quern/shared/models/catalogue-schema";
import type { GgufHeader } from "@quern/shared/models/gguf-header";
import type { LoraAdapter } from "@quern/shared/models/lora-adapter";
import { headLength } from "./fit/model-shape.ts";
import { kvTypesOf } from "./fit/settle-plan.ts";
import type { EngineOptions } from "./protocol/engine-messages.ts";
import { reservedSlotsOf } from "./slots/reserved-slots.ts";

/** What one worker is told of its engine. null: what the catalogue says. */
export interface EngineSettings {
  /** CPU threads; null: as many as there are cores and the catalogue allows. */
  threads: number | null;
  /** Of the machine's cores, those this worker may count as its own. */
  cores: number;
  slots: number | null;
  /** Slots that batch jobs leave to interactive ones; null: as many as `reservedSlotsOf` says. */
  reservedSlots: number | null;
  contextTokens: number | null;
  kvType: CatalogueEntry["kvType"] | null;
  flashAttention: CatalogueEntry["flashAttention"] | null;
  gpuLayers: CatalogueEntry["gpuLayers"] | null;
  /** A number, a UUID, or `cpu`; null: whatever llama.cpp finds. */
  gpu: string | null;
  loras: LoraAdapter[] | null;
  driver: EngineOptions["driver"];
  /** Where the caches of declared system prompts are kept. */
  stateDir: string;
}

/**
 * What the engine child is told: the catalogue's entry, changed where the configuration says so.
 * @throws QuernError `config_invalid` for what llama.cpp would accept silently and answer nonsense with (more context
 * than the model was trained for), or refuse without saying why (a q8_0 cache that the model or its options don't allow).
 */
export function engineOptions(
  engine: EngineSettings,
  telemetry: boolean,
  entry: CatalogueEntry,
  modelPath: string,
  header: GgufHeader,
): EngineOptions {
  const limit = header.contextLength ?? Number.POSITIVE_INFINITY;
  if (engine.contextTokens !== null && engine.contextTokens > limit) {
    throw new QuernError(
      "config_invalid",
      `${entry.alias} was trained for ${limit} context tokens, QUERN_CONTEXT_TOKENS asks for ${engine.contextTokens}`,
    );
  }
  const { kind, thinking, sampling, toolCalls, fillInTheMiddle, prefixSharing, systemPrompts } = entry;
  const kvType = engine.kvType ?? entry.kvType;
  const flashAttention = engine.flashAttention ?? entry.flashAttention;
  const slots = engine.slots ?? entry.slots;
  checkKvType(entry.alias, kvType, flashAttention, header);
  return {
    modelPath,
    kind,
    slots,
    reservedSlots: reservedSlotsOf(engine.reservedSlots, slots),
    contextTokens: engine.contextTokens ?? Math.min(entry.contextTokens, limit),
    threads: engine.threads ?? Math.min(engine.cores, entry.maxThreads ?? engine.cores),
    kvType,
    flashAttention,
    gpuLayers: engine.gpuLayers ?? entry.gpuLayers,
    gpu: engine.gpu,
    loras: engine.loras ?? entry.loras,
    thinking,
    sampling,
    toolCalls,
    fillInTheMiddle,
    prefixSharing,
    systemPrompts,
    stateDir: engine.stateDir,
    driver: engine.driver,
    telemetry,
  };
}

/** With `auto`, llama.cpp turns flash attention on by itself where the cache needs it. */
function checkKvType(
  alias: string,
  kvType: EngineOptions["kvType"],
  flashAttention: EngineOptions["flashAttention"],
  header: GgufHeader,
): void {
  if (!kvTypesOf(header).includes(kvType)) {
    throw new QuernError(
      "config_invalid",
      `${alias} has heads of ${headLength(header)} numbers, and a ${kvType} cache needs a multiple of 32: take kvType f16`,
    );
  }
  if (kvType === "q8_0" && flashAttention === "off") {
    throw new QuernError(
      "config_invalid",
      `a q8_0 cache needs flash attention, which is off for ${alias}: set flashAttention auto or on, or kvType f16`,
    );
  }
}
