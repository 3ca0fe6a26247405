import type { OutputFormat, TemplateTool, ToolChoice } from "@quern/shared/contract/generation";
import {
  getLlama,
  type Llama,
  type LlamaContextSequence,
  LlamaGrammarEvaluationState,
  LlamaLogLevel,
  type Token,
} from "node-llama-cpp";
import type { ToolCallForm } from "../../protocol/prepared-request.ts";
import { GrammarRules } from "./gbnf/grammar-rules.ts";
import { outputGrammar } from "./output-grammar.ts";

export function startLlama(): Promise<Llama> {
  return getLlama({ build: "never", gpu: false, maxThreads: 1, logLevel: LlamaLogLevel.disabled });
}

/** Whether llama.cpp's own reading of a grammar takes a whole text. */
export async function grammarTakes(llama: Llama, grammar: string): Promise<(text: string) => boolean> {
  // The library has the test for its own use, and keeps it out of its types.
  const read = (await llama.createGrammar({ grammar })) as unknown as { _testText(text: string): boolean };
  return (text) => read._testText(text);
}

/** The grammar of one piece of GBNF. */
export function grammarOf(write: (rules: GrammarRules) => string): string {
  const rules = new GrammarRules();
  return rules.toText(write(rules));
}

export interface AskedOutput {
  format?: OutputFormat;
  toolChoice?: ToolChoice;
  tools?: TemplateTool[];
  form?: ToolCallForm;
}

export function grammarFor({ format, toolChoice, tools = [], form = "hermes" }: AskedOutput): string | null {
  return outputGrammar(
    { format: format ?? { type: "text" }, toolChoice: toolChoice ?? { type: "auto" }, tools },
    form,
  );
}

export function schemaGrammar(schema: Record<string, unknown>): string {
  return grammarFor({ format: { type: "json_schema", schema } }) ?? "";
}

/** What a model writes under a grammar; `cut`: it had not ended after `maxTokens`. */
export async function generate(
  sequence: LlamaContextSequence,
  grammar: string,
  options: { promptTokens: Token[]; seed: number; temperature: number; maxTokens: number },
): Promise<{ text: string; ending: "ended" | "cut" }> {
  const { model } = sequence;
  const { promptTokens, seed, temperature, maxTokens } = options;
  const state = new LlamaGrammarEvaluationState({
    model,
    grammar: await model.llama.createGrammar({ grammar }),
  });
  const tokens: Token[] = [];
  await sequence.clearHistory();
  for await (const token of sequence.evaluate(promptTokens, {
    temperature,
    topK: 0,
    topP: 1,
    minP: 0,
    seed,
    yieldEogToken: true,
    grammarEvaluationState: state,
  })) {
    if (model.isEogToken(token)) return { text: model.detokenize(tokens, true), ending: "ended" };
    tokens.push(token);
    if (tokens.length === maxTokens) break;
  }
  return { text: model.detokenize(tokens, true), ending: "cut" };
}
