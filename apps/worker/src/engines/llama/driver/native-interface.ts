import type { Llama, LlamaContext, LlamaGrammar, LlamaModel, Token } from "node-llama-cpp";

/**
 * The part of node-llama-cpp's private interface that the batch driver stands on, as 3.22.1 has it (`dist/bindings/
 * AddonTypes.d.ts` there). The package's version is pinned; `nativeInterface` looks before it trusts.
 */
export interface NativeContext {
  /** Makes an empty batch, in place of the last one. */
  initBatch(tokens: number): void;
  /** @returns where in the batch the logits of `logitIndexes` will be. */
  addToBatch(slot: number, position: number, tokens: Uint32Array, logitIndexes: Uint32Array): Uint32Array;
  decodeBatch(): Promise<void>;
  sampleToken(logitIndex: number, sampler: NativeSampler): Promise<Token | -1>;
  sampleToken(
    logitIndex: number,
    sampler: NativeSampler,
    probabilities: false,
    confidence: false,
    logits: [tokens: readonly Token[], max: boolean, min: boolean, selected: boolean, top: number],
    totalLogitWeight: boolean,
  ): Promise<
    [
      token: Token | -1,
      probabilities: undefined,
      confidence: undefined,
      logits: number[] | undefined,
      weight: number | undefined,
    ]
  >;
  removeTokenCellsFromSequence(slot: number, start: number, end: number): boolean;
  copySequenceStateFromOtherSequence(to: number, from: number): Promise<number>;
  saveSequenceStateToFile(path: string, slot: number, tokens: Uint32Array): Promise<number>;
  loadSequenceStateFromFile(path: string, slot: number, maxTokens: number): Promise<Uint32Array>;
}

export interface NativeSampler {
  applyConfig(config: object): void;
  dispose(): void;
}

export interface NativeInterface {
  readonly context: NativeContext;
  createSampler(config: object): NativeSampler;
  /** The state of a grammar behind the tokens that were spoken; null when it does not allow them. */
  grammarState(grammar: LlamaGrammar, spoken: readonly Token[]): object | null;
}

interface SamplerClass {
  new (model: object): NativeSampler;
  canBeNextTokenForGrammarEvaluationState(state: object, token: Token): boolean;
  acceptGrammarEvaluationStateToken(state: object, token: Token): void;
}

interface Privates {
  context: { _ctx?: NativeContext };
  model: { _model?: object };
  llama: {
    _bindings?: {
      AddonSampler?: SamplerClass;
      AddonGrammarEvaluationState?: new (model: object, grammar: object) => object;
    };
  };
  grammar: { _grammar?: object };
}

const CONTEXT_METHODS = [
  "initBatch",
  "addToBatch",
  "decodeBatch",
  "sampleToken",
  "removeTokenCellsFromSequence",
  "copySequenceStateFromOtherSequence",
  "saveSequenceStateToFile",
  "loadSequenceStateFromFile",
] as const satisfies readonly (keyof NativeContext)[];

const SAMPLER_METHODS = [
  "canBeNextTokenForGrammarEvaluationState",
  "acceptGrammarEvaluationStateToken",
] as const satisfies readonly (keyof SamplerClass)[];

/** null when this build of the library lacks any of it. */
export function nativeInterface(
  llama: Llama,
  model: LlamaModel,
  context: LlamaContext,
): NativeInterface | null {
  const nativeContext = (context as unknown as Privates["context"])._ctx;
  const nativeModel = (model as unknown as Privates["model"])._model;
  const { AddonSampler, AddonGrammarEvaluationState } =
    (llama as unknown as Privates["llama"])._bindings ?? {};
  if (nativeContext === undefined || nativeModel === undefined) return null;
  if (AddonSampler === undefined || AddonGrammarEvaluationState === undefined) return null;
  if (!SAMPLER_METHODS.every((method) => typeof AddonSampler[method] === "function")) return null;
  if (!CONTEXT_METHODS.every((method) => typeof nativeContext[method] === "function")) return null;
  return {
    context: nativeContext,
    createSampler: (config) => {
      const sampler = new AddonSampler(nativeModel);
      sampler.applyConfig(config);
      return sampler;
    },
    grammarState: (grammar, spoken) => {
      const nativeGrammar = (grammar as unknown as Privates["grammar"])._grammar;
      if (nativeGrammar === undefined) throw new Error("the library's grammar has lost its native part");
      const state = new AddonGrammarEvaluationState(nativeModel, nativeGrammar);
      for (const token of spoken) {
        // llama.cpp aborts the process over a token that its grammar does not know.
        if (!AddonSampler.canBeNextTokenForGrammarEvaluationState(state, token)) return null;
        AddonSampler.acceptGrammarEvaluationStateToken(state, token);
      }
      return state;
    },
  };
}
