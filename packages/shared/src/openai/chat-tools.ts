import { QuernError } from "../contract/errors.ts";
import type { GenerationRequest, ToolChoice } from "../contract/generation.ts";
import type { ChatBody, ChatTool } from "./chat-body-schema.ts";
import { refuseUnboundedSchema } from "./json-schema-bounds.ts";
import { toTemplateTool } from "./template-messages.ts";

/**
 * The tools a model is shown, and whether it must call one. Who may call none is shown none.
 * @throws QuernError `invalid_request` for a choice that the tools do not offer, or parameters beyond the bounds.
 */
export function toolsOf(body: ChatBody): Pick<GenerationRequest, "tools" | "toolChoice"> {
  const tools = body.tools ?? [];
  for (const [position, tool] of tools.entries()) refuseUnboundedParameters(tool, position);
  if (body.tool_choice === "none") return { tools: [], toolChoice: { type: "auto" } };
  return { tools: tools.map(toTemplateTool), toolChoice: toolChoiceOf(body.tool_choice, tools) };
}

function refuseUnboundedParameters({ function: { parameters } }: ChatTool, position: number): void {
  if (parameters === null || parameters === undefined) return;
  refuseUnboundedSchema(parameters, ["tools", position, "function", "parameters"]);
}

function toolChoiceOf(
  choice: Exclude<ChatBody["tool_choice"], "none">,
  tools: readonly ChatTool[],
): ToolChoice {
  if (choice === null || choice === undefined || choice === "auto") return { type: "auto" };
  if (choice === "required") {
    if (tools.length > 0) return { type: "required" };
    throw refusal("tool_choice", "'required' needs tools to choose from");
  }
  const { name } = choice.function;
  if (tools.some((tool) => tool.function.name === name)) return { type: "function", name };
  throw refusal("tool_choice.function.name", `there is no '${name}' among the tools`);
}

function refusal(param: string, why: string): QuernError {
  return new QuernError("invalid_request", `${param}: ${why}`, { param });
}
