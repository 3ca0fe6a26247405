import type { ToolCall } from "./generation.ts";
import type { DeltaEvent, DeltaProgress, TokenEvent } from "./token-event.ts";

/** What callers have been told of one choice, and by which tokens. */
export interface PublishedChoice {
  text: string;
  reasoning: string;
  toolCalls: ToolCall[];
  tokens: number[];
  reasoningTokens: number;
  promptTokens: number;
  /** One for each token, or none at all. */
  probabilities: NonNullable<DeltaProgress["probabilities"]>;
  ended: NonNullable<DeltaProgress["ended"]> | null;
}

export function nothingPublished(): PublishedChoice {
  return {
    text: "",
    reasoning: "",
    toolCalls: [],
    tokens: [],
    reasoningTokens: 0,
    promptTokens: 0,
    probabilities: [],
    ended: null,
  };
}

/** The choices of a job as its stream tells them since the last restart; one that said nothing yet may be missing. */
export function publishedChoices(events: readonly TokenEvent[]): PublishedChoice[] {
  const choices: PublishedChoice[] = [];
  for (const event of events) {
    if (event.type === "restart") choices.length = 0;
    if (event.type !== "delta") continue;
    const { choice = 0 } = event.data;
    while (choices.length <= choice) choices.push(nothingPublished());
    addDelta(choices[choice] as PublishedChoice, event.data);
  }
  return choices;
}

export function addDelta(
  choice: PublishedChoice,
  { text, reasoning, tool_calls, progress }: DeltaEvent["data"],
): void {
  choice.text += text ?? "";
  choice.reasoning += reasoning ?? "";
  for (const { index, id = "", function: called } of tool_calls ?? []) {
    choice.toolCalls[index] ??= {
      id,
      type: "function",
      function: { name: called.name ?? "", arguments: "" },
    };
    choice.toolCalls[index].function.arguments += called.arguments ?? "";
  }
  choice.tokens.push(...(progress?.tokens ?? []));
  choice.reasoningTokens += progress?.reasoningTokens ?? 0;
  choice.promptTokens = progress?.promptTokens ?? choice.promptTokens;
  choice.probabilities.push(...(progress?.probabilities ?? []));
  choice.ended = progress?.ended ?? choice.ended;
}

/** Whether a reader of the one would have seen the same as a reader of the other. */
export function saysTheSame(a: PublishedChoice, b: PublishedChoice): boolean {
  return (
    a.text === b.text &&
    a.reasoning === b.reasoning &&
    JSON.stringify(a.toolCalls) === JSON.stringify(b.toolCalls)
  );
}
