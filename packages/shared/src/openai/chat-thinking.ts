import { QuernError } from "../contract/errors.ts";
import type { GenerationRequest } from "../contract/generation.ts";
import type { ChatBody } from "./chat-body-schema.ts";
import { EFFORT_TOKENS } from "./reasoning-effort.ts";

type ThinkingBody = Pick<
  ChatBody,
  "chat_template_kwargs" | "enable_thinking" | "thinking_budget" | "reasoning_effort"
>;

/**
 * Whether the model thinks, which its template is told, and for how long, which its engine sees to. Options inside
 * `chat_template_kwargs` come before those of the same name outside, and a budget before an effort.
 * @param effortField what the endpoint calls an effort, for the message.
 * @throws QuernError `invalid_request` when an effort and `enable_thinking` contradict each other.
 */
export function thinkingOf(
  body: ThinkingBody,
  effortField = "reasoning_effort",
): Pick<GenerationRequest, "templateOptions" | "thinkingBudgetTokens"> {
  const { thinking_budget: innerBudget, ...options } = body.chat_template_kwargs ?? {};
  const effort = body.reasoning_effort ?? null;
  const asked = options.enable_thinking ?? body.enable_thinking ?? null;
  const implied = effort === null ? null : effort !== "none";
  if (asked !== null && implied !== null && asked !== implied) {
    throw new QuernError(
      "invalid_request",
      `${effortField}=${effort} and enable_thinking=${asked} contradict each other: give one of them`,
      { param: effortField },
    );
  }
  return {
    templateOptions: withoutNulls({ ...options, enable_thinking: asked ?? implied }),
    thinkingBudgetTokens:
      innerBudget ?? body.thinking_budget ?? (effort === null ? null : EFFORT_TOKENS[effort]),
  };
}

/** To a template a null would be a value. */
function withoutNulls(options: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== null && value !== undefined),
  );
}
