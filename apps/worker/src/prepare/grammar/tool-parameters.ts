import type { TemplateTool } from "@quern/shared/contract/generation";
import type { JsonSchema } from "./schema/schema-keywords.ts";

/** `any`: a model that may call calls as it likes; only one that must is held to the schemas. */
export type ArgumentDemands = "by schema" | "any";

/** No schema is OpenAI's word for no parameters. */
export function parametersOf(tool: TemplateTool): JsonSchema {
  return tool.function.parameters ?? { type: "object", properties: {}, additionalProperties: false };
}

/** Where a tool's schema begins, in errors. */
export function schemaPath(tool: TemplateTool): string {
  return `${tool.function.name}#`;
}
