import { QuernError } from "@quern/shared/contract/errors";
import type { GenerationRequest } from "@quern/shared/contract/generation";
import type { LlamaGrammar, Token } from "node-llama-cpp";
import { outputGrammar } from "../../prepare/grammar/output-grammar.ts";
import { beginOutput, closingTokens } from "../../prepare/prompt/begin-output.ts";
import { type PromptReader, promptReader } from "../../prepare/prompt/prompt-reader.ts";
import { isThinking } from "../../prepare/prompt/thinking-mode.ts";
import type { EngineOptions, EngineRequest } from "../../protocol/engine-messages.ts";
import type { PublishedChoice } from "../../protocol/published-choice.ts";
import type { Generation } from "./generation.ts";
import { GrammarCache } from "./grammar-cache.ts";
import type { LoadedChatModel } from "./load-model.ts";
import { GenerationOutput } from "./output/generation-output.ts";
import type { TokenBytes } from "./output/logprob-trail.ts";
import type { OutputParserOptions } from "./output/output-parser.ts";
import { tokenBytes } from "./output/token-bytes.ts";
import { replay, type Spoken } from "./resume/replay.ts";
import { samplerOptions } from "./sampling.ts";

/** The one scope where every tenant may share. */
const EVERYONE = "";

export interface ReadRequest {
  /** One for each choice that the request asks for. */
  generations: Generation[];
  /** What was published can't be gone on from. */
  restarted: boolean;
}

/** Makes of a request what the step loop runs: its prompt in tokens, its grammar, the stages its output passes. */
export class RequestReader {
  readonly readPrompt: PromptReader;
  readonly #loaded: LoadedChatModel;
  readonly #options: EngineOptions;
  readonly #grammars: GrammarCache;
  readonly #tokenBytes: TokenBytes;
  readonly #tokenize: (text: string) => Token[];
  readonly #closing: readonly Token[];

  constructor(loaded: LoadedChatModel, options: EngineOptions) {
    const { model } = loaded;
    this.#loaded = loaded;
    this.#options = options;
    this.readPrompt = promptReader(model, options.fillInTheMiddle);
    this.#grammars = new GrammarCache(loaded.llama);
    this.#tokenBytes = tokenBytes(model);
    this.#tokenize = (text) => model.tokenize(text, true);
    this.#closing = closingTokens(this.#tokenize);
  }

  /**
   * @throws QuernError `context_length_exceeded`; `invalid_request` when the template refuses the messages, or the
   * format can't be made a grammar; `unsupported_parameter` for what this model or driver can't do.
   */
  async read({
    id,
    class: jobClass,
    isFollowed,
    request,
    tenant,
    published,
  }: EngineRequest): Promise<ReadRequest> {
    this.#refuseWhatIsNotThere(request);
    const grammar = await this.#grammar(request);
    const thinking = request.completion === null && isThinking(request, this.#options.thinking);
    const prompt = this.readPrompt(request);
    const begin = beginOutput({
      phase: prompt.outputBegin,
      thinking,
      modelThinking: this.#options.thinking,
      constrained: grammar !== null,
      budgetTokens: request.thinkingBudgetTokens,
      tokenize: this.#tokenize,
    });
    const promptTokens = [...prompt.tokens, ...begin.tokens];
    const room = this.#options.contextTokens - promptTokens.length;
    if (room < 1) throw tooLong(request, promptTokens.length, this.#options.contextTokens);
    const defaults = this.#options.sampling[thinking ? "thinking" : "plain"];
    const budgetTokens = request.thinkingBudgetTokens;
    const maxTokens = Math.min(request.maxTokens ?? room, room);
    const outputBegin = request.completion === null ? begin.phase : "verbatim";
    const newOutput = (choice: number) => this.#output(id, request, outputBegin, choice);
    const generation = (choice: number, output: GenerationOutput, spoken: Spoken | null): Generation => ({
      id,
      choice,
      class: jobClass,
      isFollowed,
      inputTokens: [...promptTokens, ...(spoken?.tokens ?? [])],
      promptLength: promptTokens.length,
      spoken,
      cacheScope: this.#options.prefixSharing === "all" ? EVERYONE : tenant,
      maxTokens,
      sampling: samplerOptions(request, defaults, choice, spoken?.tokens.length),
      grammar,
      thinkingBudget: budgetTokens === null ? null : { tokens: budgetTokens, closing: this.#closing },
      topLogprobs: request.topLogprobs,
      output,
      cancelled: false,
    });
    const choices = Array.from({ length: request.choices }, (_, choice) => choice);
    const resumed = choices.map((choice) => {
      const output = newOutput(choice);
      const spoken = this.#replay(published[choice], output, { grammar, budgetTokens, maxTokens });
      return spoken === "impossible" ? null : generation(choice, output, spoken);
    });
    const generations = resumed.filter((one) => one !== null);
    if (generations.length === resumed.length) return { generations, restarted: false };
    return {
      generations: choices.map((choice) => generation(choice, newOutput(choice), null)),
      restarted: true,
    };
  }

  #replay(
    published: PublishedChoice | undefined,
    output: GenerationOutput,
    options: { grammar: LlamaGrammar | null; budgetTokens: number | null; maxTokens: number },
  ): Spoken | "impossible" | null {
    if (published === undefined) return null;
    const { grammar, budgetTokens: thinkingBudgetTokens, maxTokens } = options;
    const replayOptions = { output, hasGrammar: grammar !== null, thinkingBudgetTokens, maxTokens };
    const spoken = replay(published, replayOptions);
    if (spoken === null) return "impossible";
    const { bound } = spoken;
    if (grammar === null || bound === null) return spoken;
    return this.#loaded.driver.allows(grammar, bound) ? spoken : "impossible";
  }

  #refuseWhatIsNotThere({ topLogprobs, tools, logitBias }: GenerationRequest): void {
    const { driver, model } = this.#loaded;
    if (topLogprobs !== null && !driver.capabilities.logprobs) {
      throw unsupported(
        "logprobs",
        "this engine runs without the interface that tells log-probabilities: leave them out",
      );
    }
    if (tools.length > 0 && this.#options.toolCalls === "none") {
      throw unsupported(
        "tools",
        "this model has not learned to call tools: leave them out, or take another model",
      );
    }
    const vocabulary = model.fileInfo.metadata.tokenizer?.ggml?.tokens?.length ?? Number.POSITIVE_INFINITY;
    const unknown = logitBias.find(({ token }) => token >= vocabulary);
    if (unknown !== undefined) {
      const message = `logit_bias names token ${unknown.token}; this model's tokens go from 0 to ${vocabulary - 1}`;
      throw new QuernError("invalid_request", message, { param: "logit_bias" });
    }
  }

  async #grammar(request: GenerationRequest): Promise<LlamaGrammar | null> {
    const text = outputGrammar(request, this.#toolCallForm);
    return text === null ? null : this.#grammars.get(text);
  }

  get #toolCallForm(): "hermes" | "xml" {
    return this.#options.toolCalls === "xml" ? "xml" : "hermes";
  }

  #output(
    id: string,
    request: GenerationRequest,
    begin: OutputParserOptions["begin"],
    choice: number,
  ): GenerationOutput {
    const callPrefix = `call_${id.replace(/^job_/, "").replaceAll("-", "")}${choice === 0 ? "" : `_${choice}`}`;
    return new GenerationOutput({
      begin,
      tools: request.tools,
      toolCallForm: this.#toolCallForm,
      tokenBytes: request.topLogprobs === null ? null : this.#tokenBytes,
      choice,
      toolCallId: (index) => `${callPrefix}_${index}`,
      stop: request.stop,
      detokenize: (tokens) => this.#loaded.model.detokenize(tokens as Token[], true),
    });
  }
}

function unsupported(param: string, message: string): QuernError {
  return new QuernError("unsupported_parameter", message, { param });
}

function tooLong({ completion }: GenerationRequest, promptTokens: number, contextTokens: number): QuernError {
  return new QuernError(
    "context_length_exceeded",
    `the prompt has ${promptTokens} tokens; with at least one to answer, this model takes ${contextTokens - 1}. ` +
      "Shorten it, or serve the model with more context tokens",
    { param: completion === null ? "messages" : "prompt" },
  );
}
