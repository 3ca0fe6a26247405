import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeRandomModel } from "@quern/testing/gguf/random-model";
import { RandomSource } from "@quern/testing/gguf/random-source";
import type { Token } from "node-llama-cpp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GenerationEvent } from "../../protocol/engine-messages.ts";
import { type EndedGeneration, JobChoices, type LoopEvent } from "../job-choices.ts";
import { CheckedDriver } from "./checked-driver.fixture.ts";
import { emptySlots, type Sampled } from "./driver/driver.fixture.ts";
import { type ExactModel, openExactModel, SLOT_TOKENS, SLOTS } from "./exact-model.fixture.ts";
import { DEAD_END, type FuzzJob, FuzzJobs, type Recipe } from "./fuzz-jobs.fixture.ts";
import type { Generation } from "./generation/generation.ts";
import { commonPrefix } from "./schedule/place-generation.ts";
import { StepCost } from "./schedule/step-cost.ts";
import { StepLoop } from "./step-loop.ts";
import { prepareWarmPrefixes, WarmPrefixes } from "./warm-prefixes.ts";

/** 10,000 steps in all. A seed that fails is in the name of its test. */
const RUNS = [
  { driver: "batch", cuts: "anywhere", steps: 1000, seeds: [1, 2, 3, 4, 5, 6, 7] },
  { driver: "batch", cuts: "whole", steps: 750, seeds: [8, 9] },
  { driver: "sequence", cuts: "anywhere", steps: 750, seeds: [10, 11] },
] as const;

/** A generation as its events told it. */
interface Told {
  text: string;
  reasoning: string;
  end: EndedGeneration | "failed" | null;
}

describe.each(RUNS)(
  "the step loop on the $driver driver, cutting caches $cuts",
  ({ driver, cuts, steps, seeds }) => {
    let loaded: ExactModel;
    /** For the same jobs alone; it tells what each token's likelihood was. */
    let reference: ExactModel;
    let folder: string;
    const seen = {
      bridges: 0,
      copies: 0,
      loads: 0,
      cuts: 0,
      chunks: 0,
      failures: 0,
      cached: 0,
      cancelled: 0,
    };

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "quern-fuzz-"));
      await writeRandomModel(join(folder, "model.gguf"), { seed: 5 });
      loaded = await openExactModel(join(folder, "model.gguf"), driver);
      reference = await openExactModel(join(folder, "model.gguf"), "batch");
    });
    afterAll(async () => {
      await loaded[Symbol.asyncDispose]();
      await reference[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    });

    test.each(seeds)(`keeps its promises through ${steps} steps of a random mix, seed %i`, async (seed) => {
      await emptySlots(loaded.driver, SLOTS);
      const jobs = await FuzzJobs.create(loaded, SLOT_TOKENS, new RandomSource(seed));
      const checked = new CheckedDriver(loaded.driver, cuts);
      const warmPrefixes = await prepareWarmPrefixes(checked, [jobs.publicPrefix()], {
        folder,
        modelKey: "tiny",
      });
      const mix = new FuzzedMix(jobs, checked, steps);
      await mix.run(warmPrefixes);

      expect(checked.problems).toEqual([]);
      expect(checked.samplers.map(({ disposals }) => disposals)).toEqual(checked.samplers.map(() => 1));
      for (const key of Object.keys(checked.seen) as (keyof typeof checked.seen)[])
        seen[key] += checked.seen[key];
      seen.cached += mix.ended.filter(({ end }) => end.cachedTokens > 0).length;
      seen.cancelled += mix.ended.filter(({ end }) => end.choice.finishReason === null).length;

      const alone = new Map<string, Answer>();
      let ties = 0;
      for (const { job, generation, end } of mix.ended) {
        if ((job.recipe.sampling.temperature ?? 0) > 0) continue;
        const key = JSON.stringify(job.recipe);
        const expected = alone.get(key) ?? (await runAlone(job.recipe));
        alone.set(key, expected);
        const answer = { end, sampled: checked.sampledWith(generation.sampling) };
        if (isAsAlone(answer, expected, job)) continue;
        ties += 1;
      }
      // Some tie in a random answer of hundreds of tokens is no wonder; many would be.
      expect(ties).toBeLessThan(mix.ended.length / 10);
    });

    test("the mixes met what they are for", () => {
      expect(seen.bridges).toBeGreaterThan(0);
      expect(seen.loads).toBeGreaterThan(0);
      expect(seen.chunks).toBeGreaterThan(0);
      expect(seen.cached).toBeGreaterThan(0);
      expect(seen.cancelled).toBeGreaterThan(0);
      if (driver === "batch") expect(seen.failures).toBeGreaterThan(0);
      if (driver === "batch") expect(seen.copies).toBeGreaterThan(0);
      if (cuts === "whole") expect(seen.cuts).toBeGreaterThan(0);
    });

    /** The same job with nobody beside it, on a loop and caches that have seen nothing. */
    async function runAlone(recipe: Recipe): Promise<Answer> {
      await emptySlots(reference.driver, 1);
      const jobs = await FuzzJobs.create(reference, SLOT_TOKENS, new RandomSource(0));
      const [generation] = jobs.make("alone", "nobody", { ...recipe, topLogprobs: 20 }).generations;
      const checked = new CheckedDriver(reference.driver);
      const ends: EndedGeneration[] = [];
      const loop = new StepLoop({
        driver: checked,
        slots: 1,
        slotTokens: SLOT_TOKENS,
        cost: new StepCost(0.5),
        unmeasuredTokenMs: 1,
        warmPrefixes: new WarmPrefixes([]),
        isEndOfGeneration: (token) => reference.model.isEogToken(token),
        report: ({ events }) => {
          for (const event of events) if (event.type === "ended") ends.push(event.ended);
          if (events.some(({ type }) => type !== "deltas")) loop.close();
        },
        nowMs: () => 0,
      });
      loop.submit(generation as Generation);
      await loop.run();
      const [end] = ends;
      if (end === undefined || generation === undefined) throw new Error("the job alone failed");
      return { end, sampled: checked.sampledWith(generation.sampling) };
    }

    /** Submits, cancels and checks, from within the loop's own calls: so that a seed always runs the same. */
    class FuzzedMix {
      readonly ended: { job: FuzzJob; generation: Generation; end: EndedGeneration }[] = [];
      readonly #jobs: FuzzJobs;
      readonly #driver: CheckedDriver;
      readonly #steps: number;
      readonly #live = new Map<string, FuzzJob>();
      readonly #told = new Map<Generation, Told>();
      readonly #jobEnds = new Map<string, number>();
      readonly #cancelled = new Set<string>();
      readonly #choices = new JobChoices();
      /** What each tenant has asked, and how often. */
      readonly #asked = new Map<string, { inputTokens: readonly Token[]; times: number }>();
      #loop: StepLoop | null = null;
      #stepsDone = 0;
      #nowMs = 0;
      /** Jobs that are kept running: all slots and more, or few, so that gaps come up. */
      #load = SLOTS + 3;

      constructor(jobs: FuzzJobs, driver: CheckedDriver, steps: number) {
        this.#jobs = jobs;
        this.#driver = driver;
        this.#steps = steps;
      }

      async run(warmPrefixes: WarmPrefixes): Promise<void> {
        const { random } = this.#jobs;
        this.#loop = new StepLoop({
          driver: this.#driver,
          slots: SLOTS,
          slotTokens: SLOT_TOKENS,
          cost: new StepCost(12),
          unmeasuredTokenMs: 1,
          warmPrefixes,
          isEndOfGeneration: (token) => loaded.model.isEogToken(token),
          report: ({ events }) => this.#report(events),
          observeStep: ({ slots, rows }) => {
            expect(rows).toBeLessThanOrEqual(slots.length);
            this.#stepsDone += 1;
            this.#submitAndCancel();
          },
          nowMs: () => {
            this.#nowMs += random.below(12);
            return this.#nowMs;
          },
        });
        this.#submit();
        await this.#loop.run();
        expect(this.#live.size).toBe(0);
        expect(this.#stepsDone).toBeGreaterThanOrEqual(this.#steps);
      }

      #submitAndCancel(): void {
        const { random } = this.#jobs;
        if (random.chance(0.02)) this.#load = random.below(SLOTS + 4);
        const wanted = Math.max(1, this.#load);
        while (this.#stepsDone < this.#steps && this.#live.size < wanted && random.chance(0.7))
          this.#submit();
        if (!random.chance(0.03)) return;
        const ids = [...this.#jobEnds.keys()];
        const id = ids[Math.max(0, ids.length - 1 - random.below(8))];
        if (id === undefined) return;
        if (this.#live.has(id)) this.#cancelled.add(id);
        this.#loop?.cancel(id);
      }

      #submit(): void {
        const job = this.#jobs.next();
        this.#live.set(job.id, job);
        this.#jobEnds.set(job.id, 0);
        const { inputTokens } = job.generations[0] as Generation;
        const key = `${job.tenant} ${inputTokens.join(" ")}`;
        this.#asked.set(key, {
          inputTokens,
          times: (this.#asked.get(key)?.times ?? 0) + job.generations.length,
        });
        this.#choices.begin(job.generations);
        for (const generation of job.generations) {
          this.#told.set(generation, { text: "", reasoning: "", end: null });
          this.#loop?.submit(generation);
        }
      }

      #report(events: LoopEvent<Generation>[]): void {
        for (const event of events) this.#hear(event);
        const jobEvents = this.#choices.toJobEvents(events, (id) => this.#loop?.cancel(id));
        for (const event of jobEvents) this.#hearOfJob(event);
        if (this.#live.size > 0) return;
        while (this.#stepsDone < this.#steps && this.#live.size === 0) this.#submit();
        if (this.#live.size === 0) this.#loop?.close();
      }

      #hear(event: LoopEvent<Generation>): void {
        const { generation } = event;
        const told = this.#told.get(generation) as Told;
        expect(told.end).toBeNull();
        if (event.type === "deltas") {
          expect(event.deltas.length).toBeGreaterThan(0);
          for (const { choice = 0, text = "", reasoning = "" } of event.deltas) {
            expect(choice).toBe(generation.choice);
            told.text += text;
            told.reasoning += reasoning;
          }
          return;
        }
        if (event.type === "failed") {
          told.end = "failed";
          expect(String(event.error)).toMatch(/grammar/);
          expect(this.#live.get(generation.id)?.recipe.grammar ?? DEAD_END).toBe(DEAD_END);
          return;
        }
        told.end = event.ended;
        this.#checkEnd(generation, told, event.ended);
      }

      #checkEnd(generation: Generation, told: Told, end: EndedGeneration): void {
        expect({ text: end.choice.text, reasoning: end.choice.reasoning }).toEqual({
          text: told.text,
          reasoning: told.reasoning,
        });
        const sampled = this.#driver.sampledWith(generation.sampling).length;
        const forced = end.completionTokens - sampled;
        if (generation.thinkingBudget === null) expect(forced).toBe(0);
        else expect(forced).toBeLessThanOrEqual(generation.thinkingBudget.closing.length);
        expect(forced).toBeGreaterThanOrEqual(0);
        expect(end.completionTokens).toBeLessThanOrEqual(generation.maxTokens);
        expect(end.reasoningTokens).toBeLessThanOrEqual(end.completionTokens);
        if (end.choice.finishReason === "length") expect(end.completionTokens).toBe(generation.maxTokens);
        if (end.choice.finishReason !== null) expect(sampled).toBeGreaterThan(0);
        // A job that failed cancels its other choices itself.
        const job = this.#live.get(generation.id);
        if (job !== undefined && end.choice.finishReason === null)
          expect(this.#cancelled).toContain(generation.id);
        expect(end.cachedTokens).toBeLessThanOrEqual(this.#mayShare(generation));
        if (job !== undefined) this.ended.push({ job, generation, end });
      }

      /** How much of its prompt the tenant's own prompts and the declared one can have left in caches. */
      #mayShare({ inputTokens, cacheScope }: Generation): number {
        const limit = inputTokens.length - 1;
        const declared = this.#jobs.publicPrefix();
        const isPublic = commonPrefix(inputTokens, declared, declared.length) === declared.length;
        let most = isPublic ? declared.length : 0;
        for (const [key, { inputTokens: asked, times }] of this.#asked) {
          if (!key.startsWith(`${cacheScope} `)) continue;
          const same = key === `${cacheScope} ${inputTokens.join(" ")}`;
          if (!same || times > 1) most = Math.max(most, commonPrefix(inputTokens, asked, limit));
        }
        return most;
      }

      #hearOfJob(event: GenerationEvent): void {
        expect(this.#jobEnds.get(event.id)).toBe(0);
        if (event.type === "deltas") return;
        const job = this.#live.get(event.id) as FuzzJob;
        this.#jobEnds.set(event.id, 1);
        this.#live.delete(event.id);
        if (event.type === "refused") {
          expect(job.recipe.grammar).toBe(DEAD_END);
          return;
        }
        if (event.type === "embedded") throw new Error("nobody asked for vectors");
        if (event.type === "restarted") throw new Error("nothing was published before");
        const { result, usage } = event.generated;
        const ends = job.generations.map((generation) => this.#told.get(generation)?.end as EndedGeneration);
        expect([result.text, ...result.alternatives.map(({ text }) => text)]).toEqual(
          ends.map(({ choice }) => choice.text),
        );
        expect(usage).toEqual({
          promptTokens: job.generations[0]?.promptLength,
          completionTokens: ends.reduce((sum, { completionTokens }) => sum + completionTokens, 0),
          reasoningTokens: ends.reduce((sum, { reasoningTokens }) => sum + reasoningTokens, 0),
          cachedTokens: ends[0]?.cachedTokens,
        });
      }
    }
  },
);

interface Answer {
  end: EndedGeneration;
  sampled: readonly Sampled[];
}

/** Natural logarithms; what the shape of a batch may add to, or take from, a likelihood. */
const TIE = 0.05;

/**
 * Whether nothing of what others left in caches, or did beside it, shows in a greedy answer; false: it went another
 * way from a token on that was as likely as its own.
 */
function isAsAlone(answer: Answer, alone: Answer, { id, recipe }: FuzzJob): boolean {
  const tokens = answer.sampled.map(({ token }) => token);
  const expected = alone.sampled.map(({ token }) => token);
  const same = commonPrefix(tokens, expected, tokens.length);
  const cancelled = answer.end.choice.finishReason === null;
  if (same === tokens.length && cancelled) {
    expect(alone.end.choice.text.startsWith(answer.end.choice.text)).toBe(true);
    expect(alone.end.choice.reasoning.startsWith(answer.end.choice.reasoning)).toBe(true);
    return true;
  }
  const [mine, theirs] = [tokens[same], expected[same]];
  if (mine !== undefined && theirs !== undefined) {
    const top = alone.sampled[same]?.probability?.top ?? [];
    const picked = new Set(expected.slice(0, same));
    const score = (token: Token) =>
      (top.find((one) => one.token === token)?.logprob ?? Number.NEGATIVE_INFINITY) +
      (recipe.sampling.logitBias?.find((one) => one.token === token)?.bias ?? 0) -
      (picked.has(token) ? (recipe.sampling.presencePenalty ?? 0) : 0);
    const message = `${id}: ${JSON.stringify(recipe)}, token ${same}, ${score(mine)} and ${score(theirs)}`;
    expect(Math.abs(score(mine) - score(theirs)), message).toBeLessThan(TIE);
    return false;
  }
  const summary = ({ end: { choice, completionTokens, reasoningTokens } }: Answer) => ({
    text: choice.text,
    reasoning: choice.reasoning,
    finishReason: choice.finishReason,
    usage: [completionTokens, reasoningTokens],
  });
  expect(summary(answer), id).toEqual(summary(alone));
  return true;
}
