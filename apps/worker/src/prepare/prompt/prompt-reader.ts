import type { Token } from "node-llama-cpp";
import type { PromptRequest } from "../../protocol/prepare-messages.ts";
import type { OutputBegin } from "../../protocol/prepared-request.ts";
import type { ReadTokens } from "../tokens/tokenizer.ts";
import type { Vocabulary } from "../tokens/vocabulary.ts";
import { completionPieces } from "./completion-pieces.ts";
import { LiteralText } from "./literal-text.ts";
import { outputBegin, promptTemplate } from "./prompt-template.ts";

export interface Prompt extends ReadTokens {
  begin: OutputBegin;
}

/**
 * Makes of a request the tokens that the model continues: messages by the model's own template, a completion as it stands.
 * Reading stops once the prompt certainly has more than `mostTokens`.
 * @throws QuernError `invalid_request` when the template refuses the messages, `unsupported_parameter` for a suffix that
 * the model can't fill in front of.
 */
export type PromptReader = (request: PromptRequest, mostTokens: number) => Prompt;

export function promptReader(
  { model, tokenizer, specialTokens }: Vocabulary,
  fillInTheMiddle: boolean,
): PromptReader {
  const source = model.fileInfo.metadata.tokenizer?.chat_template ?? null;
  const render = promptTemplate(source, { bos: model.tokens.bosString, eos: model.tokens.eosString });
  const literalText = new LiteralText(specialTokens);
  const bos: Token[] =
    model.tokens.shouldPrependBosToken && model.tokens.bos !== null ? [model.tokens.bos] : [];
  const readCompletion = completionPieces(model, fillInTheMiddle);
  return (request, mostTokens) => {
    if (request.completion !== null) {
      const pieces = readCompletion(request.completion);
      const { tokens, isWhole } = tokenizer.read(pieces, mostTokens);
      return { tokens: [...bos, ...tokens], isWhole, begin: "verbatim" };
    }
    const text = render(literalText.mark(request));
    const { tokens, isWhole } = tokenizer.read(literalText.split(text), mostTokens);
    return { tokens: [...bos, ...tokens], isWhole, begin: outputBegin(text) };
  };
}
