import type { Token } from "node-llama-cpp";
import type { PromptReader } from "./prompt-reader.ts";

/** The tokens that every conversation under this system prompt begins with, whatever its user says first. */
export function systemPrefix(readPrompt: PromptReader, systemPrompt: string): Token[] {
  const read = (content: string) => {
    const messages = [
      { role: "system" as const, content: systemPrompt },
      { role: "user" as const, content },
    ];
    const request = { completion: null, messages, tools: [], templateOptions: {} };
    return readPrompt(request, Number.POSITIVE_INFINITY).tokens;
  };
  const [one, other] = [read("a"), read("0")];
  const end = one.findIndex((token, at) => token !== other[at]);
  return end === -1 ? one : one.slice(0, end);
}
