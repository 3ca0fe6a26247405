import type { TemplateTool } from "@quern/shared/contract/generation";
import type { GrammarRules } from "./gbnf/grammar-rules.ts";
import { literalTrie } from "./gbnf/literal-trie.ts";
import { jsonText } from "./schema/json-text.ts";
import { SchemaRules } from "./schema/schema-rules.ts";
import { type ArgumentDemands, parametersOf, schemaPath } from "./tool-parameters.ts";

/** A call in the Hermes form as Qwen's templates show it; line breaks and spaces are free. @returns a rule's name */
export function hermesCall(
  rules: GrammarRules,
  tools: readonly TemplateTool[],
  demands: ArgumentDemands,
): string {
  const [blank, colon] = [jsonText.blank(rules), jsonText.colon(rules)];
  const named = tools.map((tool) => ({
    text: `${JSON.stringify(tool.function.name)},`,
    tail: `${blank} "\\"arguments\\"" ${colon} ${argumentsOf(rules, tool, demands)} ${blank} "}"`,
  }));
  const block = `"{" ${blank} "\\"name\\"" ${colon} ${literalTrie(rules, named)}`;
  return rules.add("call", `"<tool_call>" ${blank} ${block} ${blank} "</tool_call>"`);
}

function argumentsOf(rules: GrammarRules, tool: TemplateTool, demands: ArgumentDemands): string {
  if (demands === "any") return jsonText.object(rules);
  const schema = parametersOf(tool);
  return new SchemaRules(rules, schema, "tools", schemaPath(tool)).object(schema).text;
}
