import { QuernError } from "@quern/shared/contract/errors";
import type { CatalogueEntry } from "@quern/shared/models/catalogue-schema";
import type { GgufHeader } from "@quern/shared/models/gguf-header";
import type { LoraAdapter } from "@quern/shared/models/lora-adapter";
import { headLength } from "./fit/model-shape.ts";
import { kvTypesOf } from "./fit/settle-plan.ts";
import type { EngineOptions } from "./protocol/engine-options.ts";
import type { PreparerOptions } from "./protocol/prepare-messages.ts";
import { reservedSlotsOf } from "./slots/reserved-slots.ts";

/** What one worker is configured to do with its model. null: what the catalogue says. */
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

/** The settings of one model, for each part of the worker that needs some of them. */
export interface ModelOptions {
  engine: EngineOptions;
  preparer: PreparerOptions;
  reservedSlots: number;
  /** `all`: a prompt may begin with what another tenant's left in a cache. */
  prefixSharing: CatalogueEntry["prefixSharing"];
}

/**
 * The catalogue's entry, changed where the configuration says so.
 * @throws QuernError `config_invalid` for what llama.cpp would accept silently and answer nonsense with (more context
 * than the model was trained for), or refuse without saying why (a q8_0 cache that the model or its options don't allow).
 */
export function modelOptions(
  settings: EngineSettings,
  telemetry: boolean,
  entry: CatalogueEntry,
  modelPath: string,
  header: GgufHeader,
): ModelOptions {
  const limit = header.contextLength ?? Number.POSITIVE_INFINITY;
  if (settings.contextTokens !== null && settings.contextTokens > limit) {
    throw new QuernError(
      "config_invalid",
      `${entry.alias} was trained for ${limit} context tokens, QUERN_CONTEXT_TOKENS asks for ${settings.contextTokens}`,
    );
  }
  const { kind, thinking, sampling, toolCalls, fillInTheMiddle, prefixSharing, systemPrompts } = entry;
  const kvType = settings.kvType ?? entry.kvType;
  const flashAttention = settings.flashAttention ?? entry.flashAttention;
  const slots = settings.slots ?? entry.slots;
  const contextTokens = settings.contextTokens ?? Math.min(entry.contextTokens, limit);
  checkKvType(entry.alias, kvType, flashAttention, header);
  const engine: EngineOptions = {
    modelPath,
    kind,
    slots,
    contextTokens,
    threads: settings.threads ?? Math.min(settings.cores, entry.maxThreads ?? settings.cores),
    kvType,
    flashAttention,
    gpuLayers: settings.gpuLayers ?? entry.gpuLayers,
    gpu: settings.gpu,
    loras: settings.loras ?? entry.loras,
    stateDir: settings.stateDir,
    driver: settings.driver,
    telemetry,
  };
  const preparer: PreparerOptions = {
    modelPath,
    kind,
    contextTokens,
    thinking,
    toolCalls,
    fillInTheMiddle,
    sampling,
    systemPrompts,
  };
  return { engine, preparer, reservedSlots: reservedSlotsOf(settings.reservedSlots, slots), prefixSharing };
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
