import type { DeltaEvent, DeltaProgress } from "@quern/shared/contract/token-event";

export type Delta = DeltaEvent["data"];

/** Adds a delta to a list, into its last one where both carry the same kind of text of the same choice. */
export function appendDelta(deltas: Delta[], delta: Delta): void {
  const last = deltas.at(-1);
  if (last === undefined || !mergeInto(last, delta)) deltas.push(copyOf(delta));
  else if (delta.progress !== undefined) last.progress = joined(last.progress, delta.progress);
}

function joined(first: DeltaProgress | undefined, second: DeltaProgress): DeltaProgress {
  if (first === undefined) return second;
  const { probabilities } = first;
  return {
    ...second,
    tokens: [...first.tokens, ...second.tokens],
    reasoningTokens: first.reasoningTokens + second.reasoningTokens,
    ...(probabilities === undefined
      ? {}
      : { probabilities: [...probabilities, ...(second.probabilities ?? [])] }),
  };
}

function mergeInto(last: Delta, delta: Delta): boolean {
  if (last.choice !== delta.choice || last.finish_reason !== undefined || delta.finish_reason !== undefined) {
    return false;
  }
  if (last.text !== undefined && delta.text !== undefined) {
    last.text += delta.text;
    if (delta.logprobs !== undefined) {
      last.logprobs ??= [];
      last.logprobs.push(...delta.logprobs);
    }
    return true;
  }
  if (last.reasoning !== undefined && delta.reasoning !== undefined) {
    last.reasoning += delta.reasoning;
    return true;
  }
  return mergeArguments(last, delta);
}

/** A piece of arguments goes into the piece before it; what begins another call stays apart. */
function mergeArguments(last: Delta, delta: Delta): boolean {
  const open = last.tool_calls?.at(-1);
  if (open === undefined || delta.tool_calls === undefined) return false;
  if (!delta.tool_calls.every(({ index, id }) => index === open.index && id === undefined)) return false;
  for (const piece of delta.tool_calls) {
    open.function.arguments = (open.function.arguments ?? "") + (piece.function.arguments ?? "");
  }
  return true;
}

/** Later merges write into the copy, never into what the caller gave. */
function copyOf(delta: Delta): Delta {
  const copy = { ...delta };
  if (delta.logprobs !== undefined) copy.logprobs = [...delta.logprobs];
  if (delta.tool_calls !== undefined) {
    copy.tool_calls = delta.tool_calls.map((call) => ({ ...call, function: { ...call.function } }));
  }
  return copy;
}
