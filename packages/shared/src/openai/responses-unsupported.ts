import { QuernError } from "../contract/errors.ts";
import type { ResponsesBody } from "./responses-body-schema.ts";
import { ITEM_TYPES } from "./responses-items-schema.ts";
import { listIn, refuseMedia } from "./unsupported.ts";

/**
 * Before the schema sees the body, to which another kind of item or tool is only one with the wrong fields.
 * @throws QuernError `unsupported_parameter` with the place.
 */
export function refuseForeignKinds(body: unknown): void {
  refuseMedia(body, "input", ["content", "output"]);
  for (const [position, { type }] of listIn(body, "input").entries()) {
    if (typeof type !== "string" || ITEM_TYPES.includes(type)) continue;
    const instead =
      type === "item_reference"
        ? "send the item itself, or previous_response_id"
        : `Quern reads ${ITEM_TYPES.join(", ")}`;
    throw refusal(`items of type ${type} are not supported: ${instead}`, `input[${position}].type`);
  }
  for (const [position, { type }] of listIn(body, "tools").entries()) {
    if (typeof type !== "string" || type === "function") continue;
    throw refusal(
      `tools of type ${type} are not supported: give the model a function, and call it yourself`,
      `tools[${position}].type`,
    );
  }
  const choice = (body as { tool_choice?: { type?: unknown } } | null)?.tool_choice?.type;
  if (typeof choice !== "string" || choice === "function" || choice === "allowed_tools") return;
  throw refusal(`a tool_choice of type ${choice} is not supported: choose a function`, "tool_choice.type");
}

const NOT_THERE = {
  conversation: "send the conversation in input, or its last response as previous_response_id",
  prompt: "send what it says in instructions and input",
  context_management: "shorten the input yourself",
  moderation: "Quern moderates nothing",
} as const;

/** Silently ignoring what a caller asked for would be a wrong answer: it is refused instead, by name. */
export function refuseUnsupportedOfResponses(body: ResponsesBody): void {
  for (const [field, instead] of Object.entries(NOT_THERE)) {
    const value = body[field as keyof typeof NOT_THERE];
    if (value === null || value === undefined) continue;
    throw refusal(`${field} is not supported: ${instead}`, field);
  }
  if (body.truncation === "auto") {
    throw refusal("truncation=auto is not supported: shorten the input yourself", "truncation");
  }
  const verbosity = body.text?.verbosity ?? "medium";
  if (verbosity !== "medium") {
    throw refusal(
      `text.verbosity=${verbosity} is not supported: say in instructions how long the answer shall be`,
      "text.verbosity",
    );
  }
}

function refusal(message: string, param: string): QuernError {
  return new QuernError("unsupported_parameter", message, { param });
}
