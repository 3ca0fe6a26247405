import { QuernError } from "@quern/shared/contract/errors";
import type {
  GenerationRequest,
  OutputFormat,
  TemplateTool,
  ToolChoice,
} from "@quern/shared/contract/generation";
import type { ToolCallForm } from "../../protocol/prepared-request.ts";
import { type GrammarEffort, GrammarRules, GrammarTooLarge } from "./gbnf/grammar-rules.ts";
import { hermesCall } from "./hermes-call-text.ts";
import { jsonText, leadingBreaks } from "./schema/json-text.ts";
import { SchemaRules } from "./schema/schema-rules.ts";
import type { ArgumentDemands } from "./tool-parameters.ts";
import { xmlCall } from "./xml-call-text.ts";

/**
 * What an answer has to look like, as GBNF of all that follows the reasoning; null: it is free. A model that must call
 * calls and says nothing else. One that may call, and has to answer in JSON, does either.
 *
 * @throws QuernError `invalid_request` for a schema that can't be enforced, or a tool that is not there; GrammarTakesLong
 * where `effort` is `quick`
 */
export function outputGrammar(
  request: Pick<GenerationRequest, "format" | "toolChoice" | "tools">,
  form: ToolCallForm,
  effort: GrammarEffort = "any",
): string | null {
  const { format, toolChoice, tools } = request;
  if (toolChoice.type === "auto" && format.type === "text") return null;
  const rules = new GrammarRules(effort);
  try {
    const answers = [...formatText(rules, format, toolChoice), ...callsText(rules, tools, toolChoice, form)];
    return rules.toText(`${leadingBreaks(rules)} (${answers.join(" | ")})`);
  } catch (error) {
    if (!(error instanceof GrammarTooLarge)) throw error;
    const param = toolChoice.type === "auto" ? "response_format" : "tools";
    throw new QuernError("invalid_request", `the JSON schema in ${param} ${error.message}: make it smaller`, {
      param,
    });
  }
}

function formatText(rules: GrammarRules, format: OutputFormat, toolChoice: ToolChoice): string[] {
  if (toolChoice.type !== "auto") return [];
  switch (format.type) {
    case "text":
      return [];
    case "json_object":
      return [jsonText.object(rules)];
    case "json_schema":
      return [new SchemaRules(rules, format.schema, "response_format").value(format.schema).text];
  }
}

function callsText(
  rules: GrammarRules,
  tools: readonly TemplateTool[],
  toolChoice: ToolChoice,
  form: ToolCallForm,
): string[] {
  const allowed = allowedTools(tools, toolChoice);
  if (allowed.length === 0) return [];
  const demands: ArgumentDemands = toolChoice.type === "auto" ? "any" : "by schema";
  const call = form === "hermes" ? hermesCall(rules, allowed, demands) : xmlCall(rules, allowed, demands);
  return [`${call} ${rules.add("more-calls", `"\\n"? ${call}`)}*`];
}

function allowedTools(tools: readonly TemplateTool[], choice: ToolChoice): readonly TemplateTool[] {
  if (choice.type === "auto") return tools;
  const allowed =
    choice.type === "required" ? tools : tools.filter((tool) => tool.function.name === choice.name);
  if (allowed.length > 0) return allowed;
  const wanted = choice.type === "required" ? "a call" : `a call of ${choice.name}`;
  throw new QuernError(
    "invalid_request",
    `tool_choice asks for ${wanted}, but tools has none: name it there`,
    {
      param: "tool_choice",
    },
  );
}
