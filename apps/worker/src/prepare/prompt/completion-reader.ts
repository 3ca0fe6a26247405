import { QuernError } from "@quern/shared/contract/errors";
import type { GenerationRequest } from "@quern/shared/contract/generation";
import type { LlamaModel, Token } from "node-llama-cpp";

type CompletionReader = (completion: NonNullable<GenerationRequest["completion"]>) => Token[];

/**
 * A text to go on from, or the two sides of a gap in the form that Qwen's coders were trained on:
 *
 *   <|fim_prefix|>prompt<|fim_suffix|>suffix<|fim_middle|>
 *
 * The three are the model's own tokens, as llama.cpp finds them in its vocabulary. Control tokens in the caller's text
 * are plain characters.
 * @param fillInTheMiddle what the model's entry says.
 */
export function completionReader(model: LlamaModel, fillInTheMiddle: boolean): CompletionReader {
  const { prefix: before, suffix: after, middle } = model.tokens.infill;
  return ({ prompt, suffix }) => {
    const read = (text: string) => model.tokenize(text, false);
    if (suffix === null) return read(prompt);
    if (!fillInTheMiddle) {
      throw cannotFill(
        "this model was not trained to fill a gap: leave it out, or take one that was, like qwen2.5-coder-7b " +
          "(of a model of yours its entry says so, with 'fillInTheMiddle: true')",
      );
    }
    if (before === null || after === null || middle === null) {
      throw cannotFill(
        "this model's file has no tokens for it: leave it out, or take another file of the model",
      );
    }
    return [before, ...read(prompt), after, ...read(suffix), middle];
  };
}

function cannotFill(why: string): QuernError {
  return new QuernError("unsupported_parameter", `suffix: ${why}`, { param: "suffix" });
}
