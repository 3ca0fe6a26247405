import { QuernError } from "@quern/shared/contract/errors";
import type { GenerationRequest } from "@quern/shared/contract/generation";
import type { LoadedModel } from "./load-model.ts";
import { GenerationOutput } from "./output/generation-output.ts";
import { type PromptReader, promptReader } from "./prompt/prompt-reader.ts";
import type { PromptRequest } from "./prompt/prompt-template.ts";
import { isThinking } from "./prompt/thinking-mode.ts";
import type { EngineOptions, GenerationEvent } from "./protocol.ts";
import { samplerOptions } from "./sampling.ts";
import type { Generation } from "./slot.ts";
import { StepLoop } from "./step-loop.ts";

/** A loaded model that takes requests: reads prompts on the way in, runs the step loop behind. */
export class Engine {
  readonly #loaded: LoadedModel;
  readonly #options: EngineOptions;
  readonly #readPrompt: PromptReader;
  readonly #loop: StepLoop;

  constructor(
    loaded: LoadedModel,
    options: EngineOptions,
    events: { report: (events: GenerationEvent[]) => void; nowMs: () => number },
  ) {
    const { model, sequences } = loaded;
    this.#loaded = loaded;
    this.#options = options;
    this.#readPrompt = promptReader(model);
    this.#loop = new StepLoop({
      sequences,
      isEndOfGeneration: (token) => model.isEogToken(token),
      ...events,
    });
  }

  /** @throws QuernError `context_length_exceeded`, or `invalid_request` when the template refuses the messages. */
  submit(id: string, request: GenerationRequest): void {
    this.#loop.submit(this.#toGeneration(id, request));
  }

  cancel(id: string): void {
    this.#loop.cancel(id);
  }

  /** @throws QuernError `invalid_request` when the template refuses the messages. */
  countPromptTokens(request: PromptRequest): number {
    return this.#readPrompt(request).tokens.length;
  }

  run(): Promise<void> {
    return this.#loop.run();
  }

  close(): void {
    this.#loop.close();
  }

  #toGeneration(id: string, request: GenerationRequest): Generation {
    const { model } = this.#loaded;
    const { contextTokens, thinking, sampling } = this.#options;
    const prompt = this.#readPrompt(request);
    const room = contextTokens - prompt.tokens.length;
    if (room < 1) {
      throw new QuernError(
        "context_length_exceeded",
        `the prompt has ${prompt.tokens.length} tokens; with at least one to answer, this model takes ${contextTokens - 1}. ` +
          "Shorten the messages, or serve the model with more context tokens",
        { param: "messages" },
      );
    }
    return {
      id,
      promptTokens: prompt.tokens,
      maxTokens: Math.min(request.maxTokens ?? room, room),
      sampler: samplerOptions(request, isThinking(request, thinking) ? sampling.thinking : sampling.plain),
      output: new GenerationOutput({
        begin: prompt.outputBegin,
        toolCalls: request.tools.length > 0,
        toolCallId: (index) => `call_${id.replace(/^job_/, "").replaceAll("-", "")}_${index}`,
        stop: request.stop,
        detokenize: (tokens) => model.detokenize(tokens as Parameters<typeof model.detokenize>[0], true),
      }),
      cancelled: false,
    };
  }
}
