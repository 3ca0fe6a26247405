import type { Architecture } from "./architecture.ts";
import { type ChatTemplateRules, familyChatTemplate } from "./family-chat-template.ts";
import { writeScriptedModel } from "./scripted-model.ts";

/** What each Qwen release says when nobody gives it a system message. */
const DEFAULT_SYSTEMS: Record<string, string> = {
  "qwen1.5": "You are a helpful assistant",
  qwen2: "You are a helpful assistant.",
  "qwen2.5": "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
  "qwen2.5-coder": "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
  "qwen2.5-math": "Please reason step by step, and put your final answer within \\boxed{}.",
};

export const FAMILY_THOUGHT = "The capital is asked for.";
export const FAMILY_ANSWER = "Paris.";
/** What it puts into a gap; its first line break belongs to it. */
export const FAMILY_MIDDLE = "\n    return a + b\n";
/** One call of `get_weather` with the city Oslo, as each form writes it. */
const CALLS = {
  hermes: '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>',
  xml: "<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call>",
};

interface FamilyModelOptions extends Omit<ChatTemplateRules, "defaultSystem"> {
  family: string;
  architecture: Architecture;
  fillInTheMiddle: boolean;
}

/**
 * A tiny model that behaves like one of a Qwen family: its architecture, its chat template's rules, and an answer in
 * its form: a thought where it thinks, FAMILY_ANSWER, a tool call where it has any; FAMILY_MIDDLE where it fills gaps.
 */
export async function writeFamilyModel(path: string, options: FamilyModelOptions): Promise<void> {
  const { family, architecture, thinking, toolCalls, fillInTheMiddle } = options;
  const thought = {
    never: "",
    optional: `<think>\n${FAMILY_THOUGHT}\n</think>\n\n`,
    // The prompt has opened it already.
    always: `${FAMILY_THOUGHT}\n</think>\n\n`,
  };
  const call = toolCalls === "none" ? "" : `\n${CALLS[toolCalls]}`;
  await writeScriptedModel(path, {
    name: `family-${family}`,
    architecture,
    ...(fillInTheMiddle
      ? {
          controlTokens: ["<|fim_prefix|>", "<|fim_suffix|>"],
          openings: { "<|fim_middle|>": FAMILY_MIDDLE },
        }
      : {}),
    text: `${thought[thinking]}${FAMILY_ANSWER}${call}`,
    chatTemplate: familyChatTemplate({ thinking, toolCalls, defaultSystem: DEFAULT_SYSTEMS[family] ?? null }),
  });
}
