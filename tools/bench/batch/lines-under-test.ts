import type { GenerationRequest } from "@quern/shared/contract/generation";
import { defaultCatalogueFile, findModel, loadCatalogue } from "@quern/shared/models/catalogue";
import { readGgufHeader } from "@quern/shared/models/gguf-header";
import { openLlamaEngine } from "../../../apps/worker/src/engines/llama/llama-engine.ts";
import { type ModelOptions, modelOptions } from "../../../apps/worker/src/model-options.ts";
import { Preparer } from "../../../apps/worker/src/prepare/preparer.ts";
import { loadVocabulary } from "../../../apps/worker/src/prepare/tokens/vocabulary.ts";
import type { Generated, GenerationEvent } from "../../../apps/worker/src/protocol/engine-messages.ts";
import { toJobError } from "../../../apps/worker/src/protocol/job-error.ts";
import type { ContenderOptions } from "../engine/contender.ts";

export type { Generated };

/** An engine as a worker's child runs it, fed by a call instead of a channel. */
export interface FedEngine extends AsyncDisposable {
  /** Rejects with the JobError of a request that it refuses. */
  generate: (request: GenerationRequest) => Promise<Generated>;
}

/** @throws QuernError `model_load_failed`. */
export async function startFedEngine(options: ContenderOptions): Promise<FedEngine> {
  const { engine: engineOptions, preparer: preparerOptions } = await optionsOf(options);
  const preparer = new Preparer(await loadVocabulary(options.modelPath), preparerOptions);
  const pending = new Map<string, PromiseWithResolvers<Generated>>();
  const take = (event: GenerationEvent) => {
    if (event.type === "generated") pending.get(event.id)?.resolve(event.generated);
    else if (event.type === "refused") pending.get(event.id)?.reject(event.error);
    else return;
    pending.delete(event.id);
  };
  const engine = await openLlamaEngine(engineOptions, preparer.facts.warmPrefixes, {
    stepped: ({ events }) => events.forEach(take),
    embedded: () => {},
    nowMs: () => performance.timeOrigin + performance.now(),
  });
  const running = engine.run().catch((error: unknown) => {
    for (const { reject } of pending.values()) reject(error);
  });
  let submitted = 0;
  return {
    generate: async (request) => {
      const id = `line-${submitted++}`;
      const prepared = prepare(preparer, request);
      const waiting = Promise.withResolvers<Generated>();
      pending.set(id, waiting);
      engine.generate({
        id,
        order: { rank: 0, leaveFree: 0 },
        isFollowed: false,
        prepared,
        cacheScope: "default",
        traceparent: null,
        published: [],
      });
      return waiting.promise;
    },
    [Symbol.asyncDispose]: async () => {
      engine.close();
      await running;
      await engine[Symbol.asyncDispose]();
    },
  };
}

/** @throws a JobError. */
function prepare(preparer: Preparer, request: GenerationRequest) {
  try {
    const prepared = preparer.prepare(request);
    if (prepared.kind === "generation") return prepared.generation;
    throw new Error("a chat was prepared as something else");
  } catch (error) {
    throw toJobError(error);
  }
}

/** What a worker would tell its engine and its preparer of this model. */
async function optionsOf({
  modelPath,
  slots,
  contextTokens,
  threads,
}: ContenderOptions): Promise<ModelOptions> {
  const entry = findModel(await loadCatalogue(defaultCatalogueFile()), modelPath);
  const settings = {
    threads,
    cores: threads,
    slots,
    reservedSlots: 0,
    contextTokens,
    kvType: null,
    flashAttention: null,
    gpuLayers: null,
    gpu: null,
    loras: null,
    driver: "batch" as const,
    stateDir: "",
  };
  return modelOptions(settings, false, entry, modelPath, await readGgufHeader(modelPath));
}
