import type { GenerationRequest } from "@quern/shared/contract/generation";
import { defaultCatalogueFile, findModel, loadCatalogue } from "@quern/shared/models/catalogue";
import { readGgufHeader } from "@quern/shared/models/gguf-header";
import { Engine } from "../../../apps/worker/src/engine/engine.ts";
import { loadChatModel } from "../../../apps/worker/src/engine/load-model.ts";
import type {
  EngineCommand,
  EngineOptions,
  EngineReport,
  Generated,
  GenerationEvent,
  LoadedModelFacts,
} from "../../../apps/worker/src/engine/protocol.ts";
import { engineOptions } from "../../../apps/worker/src/engine-options.ts";
import type { ContenderOptions } from "../engine/contender.ts";

export type { EngineCommand, EngineReport, Generated, LoadedModelFacts };

/** An engine as a worker's child runs it, fed by a call instead of a channel. */
export interface FedEngine extends AsyncDisposable {
  /** Rejects with the JobError of a request that it refuses. */
  generate: (request: GenerationRequest) => Promise<Generated>;
}

/** @throws QuernError `model_load_failed`. */
export async function startFedEngine(options: ContenderOptions): Promise<FedEngine> {
  const engineSettings = await optionsOf(options);
  const loaded = await loadChatModel(engineSettings);
  const pending = new Map<string, PromiseWithResolvers<Generated>>();
  const hear = (event: GenerationEvent) => {
    if (event.type === "generated") pending.get(event.id)?.resolve(event.generated);
    else if (event.type === "refused") pending.get(event.id)?.reject(event.error);
    else return;
    pending.delete(event.id);
  };
  const engine = await Engine.start(loaded, engineSettings, {
    report: (events) => events.forEach(hear),
    nowMs: () => performance.timeOrigin + performance.now(),
  });
  const running = engine.run().catch((error: unknown) => {
    for (const { reject } of pending.values()) reject(error);
  });
  let submitted = 0;
  return {
    generate: (request) => {
      const id = `line-${submitted++}`;
      const waiting = Promise.withResolvers<Generated>();
      pending.set(id, waiting);
      void engine.submit({
        id,
        class: "batch",
        isFollowed: false,
        request,
        tenant: "default",
        traceparent: null,
        published: [],
      });
      return waiting.promise;
    },
    [Symbol.asyncDispose]: async () => {
      engine.close();
      await running;
      await loaded[Symbol.asyncDispose]();
    },
  };
}

/** What a worker would tell its engine of this model. */
async function optionsOf({
  modelPath,
  slots,
  contextTokens,
  threads,
}: ContenderOptions): Promise<EngineOptions> {
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
  return engineOptions(settings, false, entry, modelPath, await readGgufHeader(modelPath));
}
