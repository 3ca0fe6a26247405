import type { LlamaModel, Token } from "node-llama-cpp";

/** A token of the vocabulary that is recognized in a text as a whole, before anything else is tokenized. */
export interface SpecialToken {
  readonly text: string;
  readonly token: Token;
  /** `control` tokens belong to the template; `user_defined` ones (`<think>`) are recognized in any text. */
  readonly kind: "control" | "user_defined";
}

export interface SpecialTokens {
  /** The longest first, as llama.cpp looks for them. */
  readonly specialTokens: readonly SpecialToken[];
  /** Bytes of the longest token that a text can be read as. */
  readonly maxTokenBytes: number;
  /** Whether any special token takes the blanks beside it along. */
  readonly stripsBlanks: boolean;
}

/** Walks through all tokens of the model, once. */
export function readSpecialTokens(model: LlamaModel): SpecialTokens {
  const specialTokens: SpecialToken[] = [];
  let maxTokenBytes = 1;
  let stripsBlanks = false;
  for (const token of model.iterateAllTokens()) {
    const { control, userDefined, lstrip, rstrip } = model.getTokenAttributes(token);
    const text = model.detokenize([token], true);
    if (!control) maxTokenBytes = Math.max(maxTokenBytes, Buffer.byteLength(text));
    if ((!control && !userDefined) || text === "") continue;
    specialTokens.push({ text, token, kind: control ? "control" : "user_defined" });
    stripsBlanks ||= lstrip || rstrip;
  }
  specialTokens.sort((a, b) => b.text.length - a.text.length);
  return { specialTokens, maxTokenBytes, stripsBlanks };
}

/** Whether a text can be read in two ways: one token's end is another one's beginning. */
export function canOverlap(specialTokens: readonly Pick<SpecialToken, "text">[]): boolean {
  const texts = specialTokens.map(({ text }) => text);
  return texts.some((first) =>
    texts.some((second) => {
      for (let length = 1; length < Math.min(first.length, second.length); length += 1) {
        if (first.endsWith(second.slice(0, length))) return true;
      }
      return false;
    }),
  );
}

/** Matches any of these tokens in a text, the longest where several begin; null: there are none. */
export function anyOf(specialTokens: readonly Pick<SpecialToken, "text">[]): RegExp | null {
  if (specialTokens.length === 0) return null;
  const alternatives = specialTokens.map(({ text }) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(alternatives.join("|"), "g");
}
