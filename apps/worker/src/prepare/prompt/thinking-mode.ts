import type { GenerationRequest } from "@quern/shared/contract/generation";
import type { ModelDescription } from "@quern/shared/contract/worker";

const SOFT_SWITCH = /\/(no_)?think\b/g;

/**
 * Whether a request asks the model to think, which decides the sampling defaults. Where the model leaves the choice,
 * `enable_thinking` is it; when that is on, the latest `/think` or `/no_think` in a system or user message wins
 * (Qwen3's own rule).
 */
export function isThinking(
  request: Pick<GenerationRequest, "messages" | "templateOptions">,
  modelThinking: ModelDescription["thinking"],
): boolean {
  if (modelThinking !== "optional") return modelThinking === "always";
  if (request.templateOptions.enable_thinking === false) return false;
  const spoken = request.messages.filter(({ role }) => role === "user" || role === "system");
  const latest = spoken.flatMap(({ content }) => [...content.matchAll(SOFT_SWITCH)]).at(-1);
  return latest?.[1] === undefined;
}
