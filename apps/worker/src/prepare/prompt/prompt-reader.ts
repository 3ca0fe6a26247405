import type { LlamaModel, Token } from "node-llama-cpp";
import { completionReader } from "./completion-reader.ts";
import { LiteralText } from "./literal-text.ts";
import { outputBegin, type PromptRequest, promptTemplate } from "./prompt-template.ts";

export interface Prompt {
  tokens: Token[];
  outputBegin: ReturnType<typeof outputBegin>;
}

/**
 * A request into the tokens that the model continues: messages by the model's own template, a completion as it stands,
 * both by its own tokenizer.
 */
export type PromptReader = (request: PromptRequest) => Prompt;

export function promptReader(model: LlamaModel, fillInTheMiddle: boolean): PromptReader {
  const source = model.fileInfo.metadata.tokenizer?.chat_template ?? null;
  const render = promptTemplate(source, { bos: model.tokens.bosString, eos: model.tokens.eosString });
  const literalText = new LiteralText(controlTokens(model));
  const bos = model.tokens.shouldPrependBosToken && model.tokens.bos !== null ? [model.tokens.bos] : [];
  const readCompletion = completionReader(model, fillInTheMiddle);
  return (request) => {
    if (request.completion !== null) {
      return { tokens: [...bos, ...readCompletion(request.completion)], outputBegin: "answering" };
    }
    const text = render(literalText.mark(request));
    const tokens = literalText.split(text).flatMap((piece) => model.tokenize(piece.text, !piece.literal));
    return { tokens: [...bos, ...tokens], outputBegin: outputBegin(text) };
  };
}

/** The longest first: where one begins like another, a pattern of alternatives takes the first that matches. */
function controlTokens(model: LlamaModel): string[] {
  const texts: string[] = [];
  for (const token of model.iterateAllTokens()) {
    if (!model.getTokenAttributes(token).control) continue;
    const text = model.detokenize([token], true);
    if (text !== "") texts.push(text);
  }
  return texts.sort((a, b) => b.length - a.length);
}
