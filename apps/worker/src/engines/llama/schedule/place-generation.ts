import type { Token } from "node-llama-cpp";
import type { Generation } from "../generation/generation.ts";
import { plannedTokens, type Slot } from "../generation/slot.ts";
import { countRuns } from "./plan-step.ts";

/** Copying a slot's cache, or waiting for another prompt, costs about as much as computing this many tokens. */
const MIN_FORK_TOKENS = 32;

export interface Placement {
  readonly slot: Slot;
  /** How much of what the slot's cache holds the prompt begins with. */
  readonly kept: number;
  /** Another slot whose cache holds more of the prompt's beginning: it is copied. */
  readonly copy: { readonly from: Slot; readonly tokens: number } | null;
  /** Another slot that is about to compute more of it: it is waited for, then copied. */
  readonly wait: { readonly for: Slot; readonly tokens: number } | null;
}

/** How many tokens at the beginning of a prompt everyone may share: declared system prompts. */
export type PublicPrefix = (inputTokens: readonly Token[]) => number;

/**
 * Which free slot a generation gets, and where the beginning of its prompt comes from; null: no slot is free. A pure
 * decision. Busy slots are kept side by side, for each gap between them costs a pass over the weights with every step,
 * and a cache is copied for less than a few steps cost. Among the slots that add no gap, the one whose own cache fits
 * best is taken, unless most of that cache would be lost to a short match while others are free. Caches of other
 * tenants count only as far as the prefix is public.
 */
export function placeGeneration(
  generation: Generation,
  slots: readonly Slot[],
  options: { copies: boolean; publicPrefix: PublicPrefix },
): Placement | null {
  const free = slots.filter(({ running }) => running === null);
  if (free.length === 0) return null;
  const { inputTokens } = generation;
  const publicTokens = options.publicPrefix(inputTokens);
  // The last token is always computed: its logits are the first answer.
  const limit = inputTokens.length - 1;
  const shared = (slot: Slot, held: readonly Token[]) => {
    const allowed = slot.cacheScope === null || slot.cacheScope === generation.cacheScope;
    return commonPrefix(inputTokens, held, allowed ? limit : Math.min(limit, publicTokens));
  };
  const matches = new Map(slots.map((slot) => [slot, shared(slot, slot.cached)]));
  const heldBy = (slot: Slot) => matches.get(slot) ?? 0;

  const slot = chooseSlot(options.copies ? addingNoGap(free, slots) : free, slots, heldBy);
  const kept = heldBy(slot);
  const others = slots.filter((other) => other !== slot);
  if (!options.copies || others.length === 0) return { slot, kept, copy: null, wait: null };
  const richest = best(others, heldBy);
  const copyable = heldBy(richest) - kept >= MIN_FORK_TOKENS ? heldBy(richest) : 0;
  const planned = (other: Slot) => (other.running === null ? 0 : shared(other, plannedTokens(other)));
  const coming = best(others, planned);
  if (planned(coming) - Math.max(kept, copyable) >= MIN_FORK_TOKENS) {
    return { slot, kept, copy: null, wait: { for: coming, tokens: planned(coming) } };
  }
  return { slot, kept, copy: copyable > 0 ? { from: richest, tokens: copyable } : null, wait: null };
}

/** The free slots that leave the fewest runs of busy ones. */
function addingNoGap(free: readonly Slot[], slots: readonly Slot[]): Slot[] {
  const runs = new Map(
    free.map((slot) => {
      const busy = slots.filter((other) => other === slot || other.running !== null);
      return [slot, countRuns(busy.map(({ index }) => index))];
    }),
  );
  const fewest = Math.min(...runs.values());
  return free.filter((slot) => runs.get(slot) === fewest);
}

function chooseSlot(
  candidates: readonly Slot[],
  slots: readonly Slot[],
  heldBy: (slot: Slot) => number,
): Slot {
  const fullest = best(candidates, heldBy);
  const fits = heldBy(fullest) > 0 && heldBy(fullest) * 2 >= fullest.cached.length;
  if (fits || candidates.length === 1) return fullest;
  // What the prompt will be copied from must not be overwritten by it.
  const source = best(slots, heldBy);
  const losable = candidates.filter((slot) => slot !== source || heldBy(slot) === 0);
  const empty = losable.find(({ cached }) => cached.length === 0);
  return empty ?? losable.reduce((oldest, slot) => (slot.lastUsedAtMs < oldest.lastUsedAtMs ? slot : oldest));
}

export function commonPrefix(a: readonly Token[], b: readonly Token[], limit: number): number {
  const end = Math.min(limit, a.length, b.length);
  let length = 0;
  while (length < end && a[length] === b[length]) length += 1;
  return length;
}

/** The first of the highest. */
function best(slots: readonly Slot[], score: (slot: Slot) => number): Slot {
  return slots.reduce((winner, slot) => (score(slot) > score(winner) ? slot : winner));
}
