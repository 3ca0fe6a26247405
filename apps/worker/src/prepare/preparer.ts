import { refuseLongInputs } from "@quern/shared/contract/embedding";
import { QuernError } from "@quern/shared/contract/errors";
import type { GenerationRequest, Sampling } from "@quern/shared/contract/generation";
import { isEmbeddingRequest, type JobRequest } from "@quern/shared/contract/job";
import type {
  InputsRequest,
  PreparerOptions,
  PromptRequest,
  VocabularyFacts,
} from "../protocol/prepare-messages.ts";
import type { PreparedGeneration, PreparedRequest, ToolCallForm } from "../protocol/prepared-request.ts";
import { encodeTokens } from "../protocol/token-ids.ts";
import type { GrammarEffort } from "./grammar/gbnf/grammar-rules.ts";
import { outputGrammar } from "./grammar/output-grammar.ts";
import { beginOutput, closingTokens } from "./prompt/begin-output.ts";
import { type InputReader, inputReader } from "./prompt/input-reader.ts";
import { type Prompt, type PromptReader, promptReader } from "./prompt/prompt-reader.ts";
import { systemPrefix } from "./prompt/system-prefix.ts";
import { isThinking } from "./prompt/thinking-mode.ts";
import { mostCountedTokens, refuseHopelessPrompt, refuseLongPrompt } from "./prompt-bounds.ts";
import type { Vocabulary } from "./tokens/vocabulary.ts";

/**
 * Makes of a job's request what an engine runs, in this order: checks by cheap bounds, the prompt rendered by the model's
 * template, its tokens, the grammar of the answer. Knows the vocabulary of the model and none of its weights.
 */
export class Preparer {
  readonly facts: VocabularyFacts;
  readonly #options: PreparerOptions;
  readonly #vocabulary: Vocabulary;
  readonly #readPrompt: PromptReader;
  readonly #readInput: InputReader;
  readonly #closing: readonly number[];

  /** @throws QuernError `config_invalid` for a declared system prompt that leaves no room in the context. */
  constructor(vocabulary: Vocabulary, options: PreparerOptions) {
    const { tokenizer, maxTokenBytes } = vocabulary;
    this.#options = options;
    this.#vocabulary = vocabulary;
    this.#readPrompt = promptReader(vocabulary, options.fillInTheMiddle);
    this.#readInput = inputReader(vocabulary, options.kind);
    this.#closing = closingTokens((text) => tokenizer.tokenize(text));
    this.facts = { maxTokenBytes, warmPrefixes: warmPrefixes(this.#readPrompt, options) };
  }

  /**
   * @throws QuernError `context_length_exceeded`; `invalid_request` when the template refuses the messages, or the format
   * can't be made a grammar; `unsupported_parameter` for what this model can't do; GrammarTakesLong where `effort` is `quick`.
   */
  prepare(request: JobRequest, effort: GrammarEffort = "any"): PreparedRequest {
    if (isEmbeddingRequest(request)) {
      const { inputs, dimensions, encoding } = request;
      const tokens = inputs.map(this.#readInput);
      const lengths = tokens.map(({ length }) => length);
      refuseLongInputs(lengths, this.#options.contextTokens);
      return { kind: "embedding", embedding: { inputs: tokens.map(encodeTokens), dimensions, encoding } };
    }
    return { kind: "generation", generation: this.#prepareGeneration(request, effort) };
  }

  /** Tokens of the prompt, or of each input. @throws QuernError as `prepare` does. */
  count(request: PromptRequest | InputsRequest): number[] {
    if ("inputs" in request) return request.inputs.map((text) => this.#readInput(text).length);
    this.#refuseUnlessItWritesText();
    const { tokens, isWhole } = this.#prompt(request);
    if (!isWhole) this.#refuseLong(request, tokens.length, isWhole);
    return [tokens.length];
  }

  #prepareGeneration(request: GenerationRequest, effort: GrammarEffort): PreparedGeneration {
    this.#refuseUnlessItWritesText();
    this.#refuseUnsupported(request);
    const { contextTokens, thinking: modelThinking, sampling: defaults } = this.#options;
    const prompt = this.#prompt(request);
    const grammar = outputGrammar(request, this.#toolCallForm, effort);
    const thinking = request.completion === null && isThinking(request, modelThinking);
    const budgetTokens = request.thinkingBudgetTokens;
    const begin = beginOutput({
      phase: prompt.begin,
      thinking,
      modelThinking,
      constrained: grammar !== null,
      budgetTokens,
      tokenize: (text) => this.#vocabulary.tokenizer.tokenize(text),
    });
    const promptTokens = [...prompt.tokens, ...begin.tokens];
    this.#refuseLong(request, promptTokens.length, prompt.isWhole);
    const room = contextTokens - promptTokens.length;
    const { seed, logitBias, topLogprobs, choices, stop, tools } = request;
    return {
      promptTokens: encodeTokens(promptTokens),
      begin: begin.phase,
      grammar,
      maxTokens: Math.min(request.maxTokens ?? room, room),
      sampling: merged(defaults[thinking ? "thinking" : "plain"], request.sampling),
      seed,
      logitBias,
      thinkingBudget: budgetTokens === null ? null : { tokens: budgetTokens, closing: [...this.#closing] },
      topLogprobs,
      choices,
      stop,
      tools,
      toolCallForm: this.#toolCallForm,
    };
  }

  #prompt(request: PromptRequest): Prompt {
    const { contextTokens } = this.#options;
    refuseHopelessPrompt(request, { contextTokens, maxTokenBytes: this.facts.maxTokenBytes });
    return this.#readPrompt(request, mostCountedTokens(contextTokens));
  }

  #refuseLong(request: PromptRequest, promptTokens: number, isWhole: boolean): void {
    refuseLongPrompt(request, { promptTokens, isWhole }, this.#options.contextTokens);
  }

  #refuseUnlessItWritesText(): void {
    if (this.#options.kind === "chat") return;
    throw new QuernError(
      "invalid_request",
      "this model gives vectors and writes no text: send it to /v1/embeddings, or ask a chat model",
      { param: "model" },
    );
  }

  #refuseUnsupported({ tools, logitBias }: GenerationRequest): void {
    if (tools.length > 0 && this.#options.toolCalls === "none") {
      throw new QuernError(
        "unsupported_parameter",
        "this model has not learned to call tools: leave them out, or take another model",
        { param: "tools" },
      );
    }
    const { model } = this.#vocabulary;
    const vocabulary = model.fileInfo.metadata.tokenizer?.ggml?.tokens?.length ?? Number.POSITIVE_INFINITY;
    const unknown = logitBias.find(({ token }) => token >= vocabulary);
    if (unknown !== undefined) {
      const message = `logit_bias names token ${unknown.token}; this model's tokens go from 0 to ${vocabulary - 1}`;
      throw new QuernError("invalid_request", message, { param: "logit_bias" });
    }
  }

  get #toolCallForm(): ToolCallForm {
    return this.#options.toolCalls === "xml" ? "xml" : "hermes";
  }
}

function warmPrefixes(
  readPrompt: PromptReader,
  { systemPrompts, contextTokens }: PreparerOptions,
): number[][] {
  return systemPrompts.map((prompt, at) => {
    const tokens = systemPrefix(readPrompt, prompt);
    if (tokens.length < contextTokens) return tokens;
    throw new QuernError(
      "config_invalid",
      `systemPrompts: number ${at + 1} has ${tokens.length} tokens, a slot's context only ${contextTokens}: ` +
        "shorten it, or raise contextTokens",
    );
  });
}

/** What is absent or undefined in the second falls to the first. */
function merged(defaults: Sampling, asked: Sampling): Sampling {
  const given = Object.entries(asked).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(given) };
}
