import fc from "fast-check";
import type { Token } from "node-llama-cpp";
import { describe, expect, test } from "vitest";
import { plannedTokens, type Slot } from "../generation/slot.ts";
import { commonPrefix, type PublicPrefix, placeGeneration } from "./place-generation.ts";
import { countRuns } from "./plan-step.ts";
import { generationOf, type SlotState, slotsOf } from "./slots.fixture.ts";

/** Copying or waiting is not worth less, as `place-generation.ts` has it. */
const MIN_FORK_TOKENS = 32;

/** Prompts that begin alike, by families: the first tokens of each are the same up to a place of its own. */
const prompts = fc
  .record({
    family: fc.constantFrom(1, 2),
    shared: fc.constantFrom(1, 20, 40, 60, 100),
    own: fc.integer({ min: 1, max: 60 }),
    id: fc.integer({ min: 0, max: 3 }),
  })
  .map(({ family, shared, own, id }) => [
    ...Array.from({ length: shared }, (_, at) => family * 1000 + at),
    ...Array.from({ length: own }, (_, at) => 10_000 + id * 1000 + at),
  ]);
const scopes = fc.constantFrom("a", "b");
const slotStates = fc.array(
  fc
    .record({
      phase: fc.constantFrom<SlotState["phase"]>("idle", "idle", "waiting", "prefilling", "decoding"),
      prompt: prompts,
      computed: fc.double({ min: 0, max: 1, noNaN: true }),
      cacheScope: scopes,
      sinceMs: fc.integer({ min: 0, max: 9 }),
    })
    .map(({ prompt, computed, ...state }): SlotState => {
      const held = state.phase === "decoding" ? prompt.length : Math.floor(computed * prompt.length);
      return { ...state, prompt, cached: prompt.slice(0, held) };
    }),
  { minLength: 1, maxLength: 8 },
);
const situations = fc
  .record({
    states: slotStates,
    inputTokens: prompts,
    scope: scopes,
    publicTokens: fc.constantFrom(0, 0, 10, 40),
    copies: fc.boolean(),
  })
  .map(({ states, inputTokens, scope, publicTokens, copies }) => {
    const publicPrefix: PublicPrefix = () => Math.min(publicTokens, inputTokens.length);
    const generation = generationOf(inputTokens, scope);
    return { slots: slotsOf(states), generation, rules: { copies, publicPrefix }, publicTokens };
  });

const isFree = ({ running }: Slot) => running === null;
const indexesOf = (slots: readonly Slot[]) => slots.map(({ index }) => index);

describe("any placement", () => {
  function check(
    expectations: (
      placement: NonNullable<ReturnType<typeof placeGeneration>>,
      situation: typeof situations extends fc.Arbitrary<infer S> ? S : never,
    ) => void,
  ): void {
    fc.assert(
      fc.property(situations, (situation) => {
        const placement = placeGeneration(situation.generation, situation.slots, situation.rules);
        expect(placement === null).toBe(!situation.slots.some(isFree));
        if (placement !== null) expectations(placement, situation);
      }),
      { numRuns: 400 },
    );
  }

  test("is a free slot, where there is one", () => {
    check(({ slot }) => expect(isFree(slot)).toBe(true));
  });

  test("takes only what another slot really holds, or will, and never the last token of the prompt", () => {
    check(({ slot, kept, copy, wait }, { generation: { inputTokens } }) => {
      const limit = inputTokens.length - 1;
      const common = (held: readonly Token[]) => commonPrefix(inputTokens, held, limit);
      expect(kept).toBeLessThanOrEqual(common(slot.cached));
      if (copy !== null) expect(copy.tokens).toBeLessThanOrEqual(common(copy.from.cached));
      if (wait !== null) expect(wait.tokens).toBeLessThanOrEqual(common(plannedTokens(wait.for)));
    });
  });

  test("takes of another tenant's no more than what everyone may see", () => {
    check(({ slot, kept, copy, wait }, { generation, publicTokens }) => {
      const foreign = ({ cacheScope }: Slot) => cacheScope !== null && cacheScope !== generation.cacheScope;
      if (foreign(slot)) expect(kept).toBeLessThanOrEqual(publicTokens);
      if (copy !== null && foreign(copy.from)) expect(copy.tokens).toBeLessThanOrEqual(publicTokens);
      if (wait !== null && foreign(wait.for)) expect(wait.tokens).toBeLessThanOrEqual(publicTokens);
    });
  });

  test("adds no gap between busy slots that can be avoided, where caches can be copied", () => {
    check(({ slot }, { slots, rules }) => {
      if (!rules.copies) return;
      const runsWith = (one: Slot) =>
        countRuns(indexesOf(slots.filter((other) => other === one || !isFree(other))));
      expect(runsWith(slot)).toBe(Math.min(...slots.filter(isFree).map(runsWith)));
    });
  });

  test("copies and waits only where the driver copies, for enough, and from another slot", () => {
    check(({ slot, kept, copy, wait }, { rules }) => {
      if (!rules.copies) expect([copy, wait]).toEqual([null, null]);
      if (copy !== null) expect(copy.tokens - kept).toBeGreaterThanOrEqual(MIN_FORK_TOKENS);
      if (wait !== null) expect(wait.tokens - kept).toBeGreaterThanOrEqual(MIN_FORK_TOKENS);
      expect(copy?.from).not.toBe(slot);
      expect(wait?.for).not.toBe(slot);
      expect(copy === null || wait === null).toBe(true);
    });
  });

  test("waits only for a slot that has yet to compute what it is waited for", () => {
    check(({ wait }) => {
      if (wait === null) return;
      expect(wait.for.running).not.toBeNull();
      expect(wait.for.cached.length).toBeLessThan(wait.tokens);
    });
  });

  test("does not overwrite the fullest match while another slot that adds no gap is free", () => {
    check(({ slot, kept, copy, wait }, { slots, generation, rules, publicTokens }) => {
      if (!rules.copies) return;
      const limit = generation.inputTokens.length - 1;
      const heldBy = (one: Slot) => {
        const foreign = one.cacheScope !== null && one.cacheScope !== generation.cacheScope;
        return commonPrefix(
          generation.inputTokens,
          one.cached,
          foreign ? Math.min(limit, publicTokens) : limit,
        );
      };
      const got = Math.max(kept, copy?.tokens ?? 0, wait?.tokens ?? 0);
      const most = Math.max(...slots.map(heldBy));
      // Less than a copy's worth may be computed again.
      expect(got).toBeGreaterThan(most - MIN_FORK_TOKENS);
      const runsWith = (one: Slot) =>
        countRuns(indexesOf(slots.filter((other) => other === one || !isFree(other))));
      const asGood = slots.filter((one) => isFree(one) && one !== slot && runsWith(one) === runsWith(slot));
      const loses = kept > 0 && kept * 2 < slot.cached.length;
      if (loses && heldBy(slot) === most && asGood.length > 0) {
        const firstBest = slots.find((one) => heldBy(one) === most);
        expect(firstBest).not.toBe(slot);
      }
    });
  });
});

const tokens = (from: number, length: number) => Array.from({ length }, (_, at) => from + at);
const alone: { copies: boolean; publicPrefix: PublicPrefix } = { copies: true, publicPrefix: () => 0 };

test("a conversation goes on in its own slot, which holds it", () => {
  const history = tokens(0, 100);
  const slots = slotsOf([
    { phase: "idle" },
    { phase: "idle", cached: history, cacheScope: "tenant" },
    { phase: "idle", cached: tokens(500, 50), cacheScope: "tenant" },
  ]);
  const placement = placeGeneration(generationOf([...history, ...tokens(900, 20)]), slots, alone);
  expect(placement).toEqual({ slot: slots[1], kept: 100, copy: null, wait: null });
});

test("a short match in a long cache is copied, and the cache kept", () => {
  const cached = tokens(0, 400);
  const slots = slotsOf([
    { phase: "idle", cached, cacheScope: "tenant" },
    { phase: "idle", cached: tokens(500, 50), cacheScope: "tenant", sinceMs: 5 },
    { phase: "idle", cached: tokens(700, 50), cacheScope: "tenant", sinceMs: 4 },
  ]);
  const placement = placeGeneration(generationOf([...tokens(0, 60), ...tokens(900, 20)]), slots, alone);
  expect(placement).toEqual({ slot: slots[2], kept: 0, copy: { from: slots[0], tokens: 60 }, wait: null });
});

test("a prompt that another slot is computing is waited for, all but its last token", () => {
  const prompt = tokens(0, 80);
  const slots = slotsOf([
    { phase: "prefilling", prompt, cached: prompt.slice(0, 10), cacheScope: "tenant" },
    { phase: "idle" },
  ]);
  const placement = placeGeneration(generationOf(prompt), slots, alone);
  expect(placement).toEqual({ slot: slots[1], kept: 0, copy: null, wait: { for: slots[0], tokens: 79 } });
});

test("of another tenant only the public beginning is taken", () => {
  const prompt = tokens(0, 80);
  const slots = slotsOf([{ phase: "idle", cached: prompt, cacheScope: "other" }, { phase: "idle" }]);
  const generation = generationOf(prompt);
  expect(placeGeneration(generation, slots, alone)).toMatchObject({ kept: 0, copy: null, wait: null });
  const placement = placeGeneration(generation, slots, { copies: true, publicPrefix: () => 50 });
  expect(placement).toMatchObject({ slot: slots[0], kept: 50, copy: null, wait: null });
});
