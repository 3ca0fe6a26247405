import { QuernError } from "../contract/errors.ts";
import type { GenerationRequest, ToolChoice } from "../contract/generation.ts";
import { refuseUnboundedSchema } from "./json-schema-bounds.ts";
import type { AskedToolChoice, FunctionTool, ResponsesBody } from "./responses-body-schema.ts";
import { toTemplateTool } from "./template-messages.ts";

/**
 * The tools a model is shown, and whether it must call one. Who may call none is shown none, who may call some is shown
 * those.
 * @throws QuernError `invalid_request` for a choice that the tools do not offer, or parameters beyond the bounds.
 */
export function toolsOfResponses(
  body: Pick<ResponsesBody, "tools" | "tool_choice">,
): Pick<GenerationRequest, "tools" | "toolChoice"> {
  const tools = body.tools ?? [];
  for (const [position, { parameters }] of tools.entries()) {
    if (parameters) refuseUnboundedSchema(parameters, ["tools", position, "parameters"]);
  }
  const choice = body.tool_choice ?? "auto";
  const shown = shownTools(choice, tools).map((tool) => toTemplateTool({ type: "function", function: tool }));
  return { tools: shown, toolChoice: toolChoiceOf(choice, tools) };
}

function shownTools(choice: AskedToolChoice, tools: readonly FunctionTool[]): readonly FunctionTool[] {
  if (choice === "none") return [];
  if (typeof choice === "string" || choice.type === "function") return tools;
  const allowed = new Set(
    choice.tools.map(({ name }, position) => named(name, tools, `tool_choice.tools[${position}].name`)),
  );
  return tools.filter(({ name }) => allowed.has(name));
}

function toolChoiceOf(choice: AskedToolChoice, tools: readonly FunctionTool[]): ToolChoice {
  if (typeof choice === "object") {
    return choice.type === "allowed_tools"
      ? { type: choice.mode }
      : { type: "function", name: named(choice.name, tools, "tool_choice.name") };
  }
  if (choice !== "required") return { type: "auto" };
  if (tools.length > 0) return { type: "required" };
  throw refusal("tool_choice", "'required' needs tools to choose from");
}

function named(name: string, tools: readonly FunctionTool[], param: string): string {
  if (tools.some((tool) => tool.name === name)) return name;
  throw refusal(param, `there is no '${name}' among the tools`);
}

function refusal(param: string, why: string): QuernError {
  return new QuernError("invalid_request", `${param}: ${why}`, { param });
}
