import type { Token } from "node-llama-cpp";
import { commonPrefix } from "../../engines/llama/schedule/place-generation.ts";
import type { PromptReader } from "./prompt-reader.ts";

/** The tokens that every conversation under this system prompt begins with, whatever its user says first. */
export function systemPrefix(readPrompt: PromptReader, systemPrompt: string): readonly Token[] {
  const [one, other] = ["a", "0"].map((content) => {
    const messages = [
      { role: "system" as const, content: systemPrompt },
      { role: "user" as const, content },
    ];
    return readPrompt({ completion: null, messages, tools: [], templateOptions: {} }).tokens;
  }) as [Token[], Token[]];
  return one.slice(0, commonPrefix(one, other, one.length));
}
