import type { Slot } from "../generation/slot.ts";
import type { StepCost } from "./step-cost.ts";
import type { StreamPace } from "./stream-pace.ts";

export interface SlotShare {
  readonly slot: Slot;
  /** How many of its pending tokens the step feeds; 0: a bridge, which feeds a token that nobody asked for. */
  readonly tokens: number;
}

/**
 * Who is in the next step, and with how many tokens; in ascending order of slots. A pure decision, of at least one
 * token for each slot:
 *
 *   1. every slot that decodes feeds its last token, and what is forced behind it as far as the budget goes
 *   2. prompts share what the streams' pace leaves them, the longest-waiting first
 *   3. idle slots between busy ones bridge a gap where a row is cheaper than another pass over the weights
 */
export function planStep(
  slots: readonly Slot[],
  stepTokens: number,
  cost: StepCost,
  pace: StreamPace,
): SlotShare[] {
  const shares = new Map<Slot, number>();
  let left = stepTokens;
  const decoding = slots.filter(({ running }) => running?.phase === "decoding");
  const rows = decoding.length;
  for (const [at, slot] of decoding.entries()) {
    // What is forced into one stream must leave a token for each of those behind it.
    const tokens = Math.min(slot.running?.pending.length ?? 0, left - (rows - 1 - at));
    shares.set(slot, tokens);
    left -= tokens;
  }

  const streams = { passes: countRuns(decoding.map(({ index }) => index)), rows };
  let budget = rows === 0 ? left : Math.min(left, pace.promptTokens(streams, cost));
  for (const slot of byArrival(slots)) {
    if (slot.running?.phase !== "prefilling" || budget === 0) continue;
    const tokens = Math.min(slot.running.pending.length, budget);
    shares.set(slot, tokens);
    budget -= tokens;
    left -= tokens;
  }

  for (const gap of bridges(slots, shares, cost)) {
    if (gap.length > left) continue;
    for (const slot of gap) shares.set(slot, 0);
    left -= gap.length;
  }
  return [...shares].map(([slot, tokens]) => ({ slot, tokens })).sort((a, b) => a.slot.index - b.slot.index);
}

/** Runs of consecutive slots: what llama.cpp can put into one pass. */
export function countRuns(indexes: readonly number[]): number {
  return indexes.filter((index, at) => at === 0 || index !== (indexes[at - 1] as number) + 1).length;
}

function byArrival(slots: readonly Slot[]): Slot[] {
  return [...slots].sort(
    (a, b) => (a.running?.slotAtMs ?? 0) - (b.running?.slotAtMs ?? 0) || a.index - b.index,
  );
}

/** Idle slots that make one run out of two, for less than what the second pass costs. */
function bridges(slots: readonly Slot[], shares: ReadonlyMap<Slot, number>, cost: StepCost): Slot[][] {
  const affordableRows = cost.rowsPerPass();
  const found: Slot[][] = [];
  let gap: Slot[] | null = null;
  for (const slot of slots) {
    if (shares.has(slot)) {
      if (gap !== null && gap.length > 0 && gap.length < affordableRows) found.push(gap);
      gap = [];
    } else if (slot.running !== null) {
      // Its cache is being waited for, or read: it can't be bridged.
      gap = null;
    } else gap?.push(slot);
  }
  return found;
}
