import { writeScriptedModel } from "@quern/testing/gguf/scripted-model";

export const CHAOS_MODEL = "chaos";
export const CONTEXT_TOKENS = 4_096;
/** What it is asked, always. */
export const TALK = "Say all that you know, and say it in order.";

const THOUGHT_WORDS = 60;
const ANSWER_WORDS = 2_400;
const CALL = { name: "note", arguments: { text: "all is well" } };

/** What the model says to everything: a thought, an answer of words that are all different, and a tool call. */
export interface Script {
  /** One per token. */
  pieces: string[];
}

/** Words of the answer carry their place, so that a lost or doubled one can't hide. */
export const wordAt = (place: number) => `w${place}`;

export async function writeChaosModel(path: string): Promise<Script> {
  const words = (count: number, word: (place: number) => string) =>
    Array.from({ length: count }, (_, at) => word(at + 1)).join(" ");
  const text =
    `<think>\n${words(THOUGHT_WORDS, (place) => `t${place}`)}\n</think>\n\n` +
    `${words(ANSWER_WORDS, wordAt)}\n<tool_call>\n${JSON.stringify(CALL)}\n</tool_call>`;
  return {
    pieces: await writeScriptedModel(path, { text, contextLength: CONTEXT_TOKENS, name: CHAOS_MODEL }),
  };
}

/** An answer, as all the ways to get it must give it. */
export interface Expected {
  text: string;
  reasoning: string;
  calls: { name: string; arguments: string }[];
  finishReason: string;
  completionTokens: number;
}

/** What the script gives for a chat that ends after so many tokens, or before a stop string. */
export function expectedAnswer(script: Script, limits: { maxTokens: number; stop: string | null }): Expected {
  const { pieces } = script;
  let said = "";
  for (const [at, piece] of pieces.entries()) {
    said += piece;
    const { reasoning, text } = partsOf(said);
    const stopAt = limits.stop === null ? -1 : text.indexOf(limits.stop);
    if (stopAt >= 0) {
      return {
        text: text.slice(0, stopAt),
        reasoning,
        calls: [],
        finishReason: "stop",
        completionTokens: at + 1,
      };
    }
    if (at + 1 === limits.maxTokens && at + 1 < pieces.length) {
      return { text, reasoning, calls: [], finishReason: "length", completionTokens: at + 1 };
    }
  }
  const [whole = ""] = said.split("\n<tool_call>");
  const calls = [{ name: CALL.name, arguments: JSON.stringify(CALL.arguments) }];
  return { ...partsOf(whole), calls, finishReason: "tool_calls", completionTokens: pieces.length };
}

/** The template's line breaks around a thought belong to neither part. */
function partsOf(said: string): { reasoning: string; text: string } {
  const [thought = "", answer = ""] = said.replace("<think>\n", "").split(/<\/think>(?:\n\n)?/);
  return { reasoning: thought.replace(/\n$/, ""), text: answer };
}
