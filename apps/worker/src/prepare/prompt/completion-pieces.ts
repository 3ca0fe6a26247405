import { QuernError } from "@quern/shared/contract/errors";
import type { GenerationRequest } from "@quern/shared/contract/generation";
import type { LlamaModel } from "node-llama-cpp";
import type { TextPiece } from "../tokens/tokenizer.ts";

type CompletionPieces = (completion: NonNullable<GenerationRequest["completion"]>) => TextPiece[];

/**
 * A text to continue, or the two sides of a gap in the form that Qwen's coders were trained on:
 *
 *   <|fim_prefix|>prompt<|fim_suffix|>suffix<|fim_middle|>
 *
 * The three are the model's own tokens, as llama.cpp finds them in its vocabulary. Control tokens in the caller's text
 * are plain characters.
 * @param fillInTheMiddle what the model's entry says.
 */
export function completionPieces(model: LlamaModel, fillInTheMiddle: boolean): CompletionPieces {
  const { prefixString: before, suffixString: after, middleString: middle } = model.tokens.infill;
  const literal = (text: string) => ({ text, literal: true });
  const special = (text: string) => ({ text, literal: false });
  return ({ prompt, suffix }) => {
    if (suffix === null) return [literal(prompt)];
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
    return [special(before), literal(prompt), special(after), literal(suffix), special(middle)];
  };
}

function cannotFill(why: string): QuernError {
  return new QuernError("unsupported_parameter", `suffix: ${why}`, { param: "suffix" });
}
