import { setImmediate as nextTurn } from "node:timers/promises";
import { QuernError } from "@quern/shared/contract/errors";
import type { PublishedChoice } from "@quern/shared/contract/published-choice";
import type { LlamaGrammar, Token } from "node-llama-cpp";
import type { EngineRequest } from "../../protocol/engine-messages.ts";
import type { PreparedGeneration } from "../../protocol/prepared-request.ts";
import { decodeTokens } from "../../protocol/token-ids.ts";
import { samplerOptions } from "./driver/sampling.ts";
import type { Generation } from "./generation/generation.ts";
import { GrammarCache } from "./grammar-cache.ts";
import type { LoadedChatModel } from "./load-model.ts";
import { GenerationOutput } from "./output/generation-output.ts";
import type { TokenBytes } from "./output/logprob-trail.ts";
import { tokenBytes } from "./output/token-bytes.ts";
import { replay, type Spoken } from "./resume/replay.ts";

export interface ReadGenerations {
  /** One for each choice that the request asks for. */
  generations: Generation[];
  /** The engine can't resume behind what was published. */
  restarted: boolean;
}

/** Makes of a prepared request what the step loop runs: its grammar, the stages of its output, where it resumes. */
export class GenerationReader {
  readonly #loaded: LoadedChatModel;
  readonly #grammars: GrammarCache;
  readonly #tokenBytes: TokenBytes;

  constructor(loaded: LoadedChatModel) {
    this.#loaded = loaded;
    this.#grammars = new GrammarCache(loaded.llama);
    this.#tokenBytes = tokenBytes(loaded.model);
  }

  /**
   * Yields to the step loop while it replays a long answer.
   * @throws QuernError `invalid_request` when llama.cpp can't read the grammar; `unsupported_parameter` for what this
   * driver can't do.
   */
  async read(request: EngineRequest): Promise<ReadGenerations> {
    const { prepared, published } = request;
    this.#refuseUnsupported(prepared);
    const grammar = prepared.grammar === null ? null : await this.#grammars.get(prepared.grammar);
    const promptTokens = decodeTokens(prepared.promptTokens) as Token[];
    const generation = (choice: number, output: GenerationOutput, spoken: Spoken | null): Generation => ({
      id: request.id,
      choice,
      order: request.order,
      isFollowed: request.isFollowed,
      inputTokens: spoken === null ? promptTokens : [...promptTokens, ...spoken.tokens],
      promptLength: promptTokens.length,
      spoken,
      cacheScope: request.cacheScope,
      maxTokens: prepared.maxTokens,
      sampling: samplerOptions(prepared, choice, spoken?.tokens.length),
      grammar,
      thinkingBudget: prepared.thinkingBudget as Generation["thinkingBudget"],
      topLogprobs: prepared.topLogprobs,
      output,
      cancelled: false,
    });
    const choices = Array.from({ length: prepared.choices }, (_, choice) => choice);
    const resumed: Generation[] = [];
    for (const choice of choices) {
      const output = this.#output(request.id, prepared, choice);
      const spoken = await this.#replay(published[choice], output, prepared, grammar);
      if (spoken === "impossible") break;
      resumed.push(generation(choice, output, spoken));
    }
    if (resumed.length === choices.length) return { generations: resumed, restarted: false };
    const anew = (choice: number) => generation(choice, this.#output(request.id, prepared, choice), null);
    return { generations: choices.map(anew), restarted: true };
  }

  async #replay(
    published: PublishedChoice | undefined,
    output: GenerationOutput,
    { thinkingBudget, maxTokens }: PreparedGeneration,
    grammar: LlamaGrammar | null,
  ): Promise<Spoken | "impossible" | null> {
    if (published === undefined) return null;
    const thinkingBudgetTokens = thinkingBudget?.tokens ?? null;
    const options = { output, hasGrammar: grammar !== null, thinkingBudgetTokens, maxTokens };
    const spoken = await replay(published, options, () => nextTurn());
    if (spoken === null) return "impossible";
    const { bound } = spoken;
    if (grammar === null || bound === null) return spoken;
    return this.#loaded.driver.allows(grammar, bound) ? spoken : "impossible";
  }

  #refuseUnsupported({ topLogprobs }: PreparedGeneration): void {
    if (topLogprobs === null || this.#loaded.driver.capabilities.logprobs) return;
    throw new QuernError(
      "unsupported_parameter",
      "this engine runs without the interface that tells log-probabilities: leave them out",
      { param: "logprobs" },
    );
  }

  #output(id: string, prepared: PreparedGeneration, choice: number): GenerationOutput {
    const { begin, tools, toolCallForm, topLogprobs, stop } = prepared;
    const callPrefix = `call_${id.replace(/^job_/, "").replaceAll("-", "")}${choice === 0 ? "" : `_${choice}`}`;
    return new GenerationOutput({
      begin,
      tools,
      toolCallForm,
      tokenBytes: topLogprobs === null ? null : this.#tokenBytes,
      choice,
      toolCallId: (index) => `${callPrefix}_${index}`,
      stop,
      detokenize: (tokens) => this.#loaded.model.detokenize(tokens as Token[], true),
    });
  }
}
