/** One choice of an answer, as deltas join to it. */
export interface Joined {
  text: string;
  reasoning: string;
  calls: { name: string; arguments: string }[];
}

interface CallDelta {
  index: number;
  function?: { name?: string; arguments?: string };
}

export class Joiner {
  readonly #choices = new Map<number, Joined>();

  add(
    choice: number,
    delta: {
      text?: string | undefined;
      reasoning?: string | undefined;
      calls?: readonly CallDelta[] | undefined;
    },
  ): void {
    const joined = this.#choices.get(choice) ?? { text: "", reasoning: "", calls: [] };
    this.#choices.set(choice, joined);
    joined.text += delta.text ?? "";
    joined.reasoning += delta.reasoning ?? "";
    for (const { index, function: said } of delta.calls ?? []) {
      const call = joined.calls[index] ?? { name: "", arguments: "" };
      joined.calls[index] = call;
      call.name += said?.name ?? "";
      call.arguments += said?.arguments ?? "";
    }
  }

  /** What was said before is void. */
  restart(): void {
    this.#choices.clear();
  }

  /** By the number of the choice; one that said nothing is empty. */
  choices(count: number): Joined[] {
    return Array.from(
      { length: count },
      (_, at) => this.#choices.get(at) ?? { text: "", reasoning: "", calls: [] },
    );
  }
}

interface SeenEvent {
  event: string;
  data: string;
}

/** Of a job's events, as the API sends them. */
export function joinEvents(events: readonly SeenEvent[], count: number): Joined[] {
  const joiner = new Joiner();
  for (const { event, data } of events) {
    if (event === "restart") joiner.restart();
    if (event !== "delta") continue;
    const {
      choice = 0,
      text,
      reasoning,
      tool_calls,
    } = JSON.parse(data) as {
      choice?: number;
      text?: string;
      reasoning?: string;
      tool_calls?: CallDelta[];
    };
    joiner.add(choice, { text, reasoning, calls: tool_calls });
  }
  return joiner.choices(count);
}

/** Of the chunks of an OpenAI stream, of chats and of completions. */
export function joinChunks(chunks: readonly string[], count: number): Joined[] {
  const joiner = new Joiner();
  for (const data of chunks) {
    const { choices = [] } = JSON.parse(data) as {
      choices?: {
        index: number;
        text?: string;
        delta?: { content?: string | null; reasoning_content?: string; tool_calls?: CallDelta[] };
      }[];
    };
    for (const { index, text, delta } of choices) {
      joiner.add(index, {
        text: text ?? delta?.content ?? "",
        reasoning: delta?.reasoning_content,
        calls: delta?.tool_calls,
      });
    }
  }
  return joiner.choices(count);
}
