import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeRandomModel } from "@quern/testing/gguf/random-model";
import { RandomSource } from "@quern/testing/gguf/random-source";
import { expect, test } from "vitest";
import type { EndedGeneration } from "../job-choices.ts";
import { CheckedDriver } from "./checked-driver.fixture.ts";
import { openExactModel } from "./exact-model.fixture.ts";
import { FuzzJobs, type Recipe } from "./fuzz-jobs.fixture.ts";
import { StepCost } from "./schedule/step-cost.ts";
import { StepLoop } from "./step-loop.ts";
import { WarmPrefixes } from "./warm-prefixes.ts";

/** The library rounds contexts up to a multiple of 256 tokens, which hides what happens at their ends. */
const SLOT_TOKENS = 512;

test.each(["batch", "sequence"] as const)(
  "a bridge through a slot that is full leaves its cache good for who begins alike: the %s driver",
  async (name) => {
    const folder = await mkdtemp(join(tmpdir(), "quern-step-loop-"));
    await writeRandomModel(join(folder, "model.gguf"), { seed: 3 });
    await using loaded = await openExactModel(join(folder, "model.gguf"), name, SLOT_TOKENS);
    const jobs = await FuzzJobs.create(loaded, SLOT_TOKENS, new RandomSource(1));
    const driver = new CheckedDriver(loaded.driver);
    const endless = [{ token: loaded.model.tokens.eot ?? loaded.model.tokens.eos ?? 0, bias: -100 }];
    const recipeOf = (message: string): Recipe => ({
      message,
      system: "",
      sampling: { logitBias: endless },
      grammar: null,
      stop: [],
      maxTokens: SLOT_TOKENS,
      thinkingBudget: null,
      topLogprobs: null,
    });
    // More than half of the slot: less is not worth keeping the rest for.
    const long = recipeOf("Tell me a story of a cat. ".repeat(14));
    const ended = new Map<string, EndedGeneration>();
    let nowMs = 0;
    const loop: StepLoop = new StepLoop({
      driver,
      slots: 3,
      slotTokens: SLOT_TOKENS,
      cost: new StepCost(12),
      warmPrefixes: new WarmPrefixes([]),
      isEndOfGeneration: (token) => loaded.model.isEogToken(token),
      unmeasuredTokenMs: 1,
      report: ({ events }) => {
        for (const event of events) {
          if (event.type === "failed") throw event.error;
          if (event.type !== "ended") continue;
          ended.set(event.generation.id, event.ended);
          // The neighbours' ends leave nothing to bridge, so the same prompt comes again after them.
          if (ended.size === 3) submit("again", long);
        }
        if (ended.has("again")) loop.close();
      },
      nowMs: () => {
        nowMs += 1;
        return nowMs;
      },
    });
    const submit = (id: string, recipe: Recipe) => {
      for (const generation of jobs.make(id, "tenant", recipe).generations) loop.submit(generation);
    };
    submit("low", recipeOf("Who are you?"));
    submit("full", long);
    submit("high", recipeOf("Add 3 and 5."));
    await loop.run();
    await rm(folder, { recursive: true });

    expect([...ended.keys()].slice(0, 1)).toEqual(["full"]);
    expect(driver.seen.bridges).toBeGreaterThan(10);
    expect(driver.problems).toEqual([]);
    expect(ended.get("again")?.cachedTokens).toBe(jobs.promptTokens(long).length - 1);
    expect(ended.get("again")?.choice).toEqual(ended.get("full")?.choice);
  },
);
