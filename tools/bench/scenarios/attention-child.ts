import type { AttentionOptions } from "../command/options.ts";
import { loadUnderTest } from "../engine/engine-under-test.ts";
import { randomTokens } from "../engine/prompts.ts";
import { median } from "../figures/statistics.ts";

export interface AttentionCommand {
  modelPath: string;
  flashAttention: "on" | "off";
  options: Pick<AttentionOptions, "slots" | "depths" | "parts" | "threads" | "repeat">;
}

/** Behind `depth` tokens in the cache. */
export interface AttentionFigures {
  depth: number;
  /** One token in each slot. */
  decodeMs: number;
  /** In one slot, in the order of the parts. */
  partMs: number[];
}

type Driver = Awaited<ReturnType<typeof loadUnderTest>>["driver"];
type Feed = Parameters<Driver["step"]>[0][number];

// The process that measures attention one way: its model is loaded for it alone.
process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
process.once("message", async ({ modelPath, flashAttention, options }: AttentionCommand) => {
  const { slots, depths, parts, threads, repeat } = options;
  const contextTokens = Math.max(...depths) + Math.max(...parts, repeat) + 1;
  await using loaded = await loadUnderTest({ modelPath, slots, contextTokens, threads }, flashAttention);
  for (const depth of depths) {
    process.send?.(await measure(loaded, depth, { slots, parts, repeat }));
  }
  process.removeAllListeners("disconnect");
  process.disconnect();
});

async function measure(
  { driver }: { driver: Driver },
  depth: number,
  { slots, parts, repeat }: Pick<AttentionOptions, "slots" | "parts" | "repeat">,
): Promise<AttentionFigures> {
  const feed = (slot: number, position: number, count: number): Feed => {
    const tokens: readonly number[] = randomTokens(count, position + slot);
    return { slot, position, tokens: tokens as Feed["tokens"], sampler: null, topLogprobs: null };
  };
  for (let slot = 0; slot < slots; slot += 1) await driver.truncate(slot, 0);
  for (let position = 0; position < depth; position += driver.stepTokens) {
    await driver.step([feed(0, position, Math.min(driver.stepTokens, depth - position))]);
  }
  for (let slot = 1; slot < slots; slot += 1) await driver.copy(0, slot, depth);
  const medianMs = async (feeds: readonly Feed[]) => {
    const tookMs: number[] = [];
    for (let round = 0; round <= repeat; round += 1) {
      const beganMs = performance.now();
      await driver.step(feeds);
      // The first one is a warm-up.
      if (round > 0) tookMs.push(performance.now() - beganMs);
      for (const { slot } of feeds) await driver.truncate(slot, depth);
    }
    return median(tookMs) ?? Number.NaN;
  };
  const decodeMs = await medianMs(Array.from({ length: slots }, (_, slot) => feed(slot, depth, 1)));
  const partMs: number[] = [];
  for (const tokens of parts) partMs.push(await medianMs([feed(0, depth, tokens)]));
  return { depth, decodeMs, partMs };
}
