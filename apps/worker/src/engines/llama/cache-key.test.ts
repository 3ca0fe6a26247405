import { expect, test } from "vitest";
import { engineOptions } from "../../model-options.fixture.ts";
import { cacheKey } from "./cache-key.ts";
import { TINY_MODEL, TINY_MOE_MODEL } from "./driver/driver.fixture.ts";

test("is the same for the same model and cache, and another for whatever would read the cache wrongly", async () => {
  const key = await cacheKey(engineOptions(TINY_MODEL));
  expect(await cacheKey(engineOptions(TINY_MODEL, { slots: 7, contextTokens: 512 }))).toBe(key);
  const others = [
    // Two models of one shape: llama.cpp would take the one's cache for the other's.
    engineOptions(TINY_MOE_MODEL),
    engineOptions(TINY_MODEL, { kvType: "q8_0" }),
    engineOptions(TINY_MODEL, { flashAttention: "on" }),
    engineOptions(TINY_MODEL, { loras: [{ path: TINY_MOE_MODEL, scale: 1 }] }),
    engineOptions(TINY_MODEL, { loras: [{ path: TINY_MOE_MODEL, scale: 0.5 }] }),
  ];
  const keys = await Promise.all(others.map(cacheKey));
  expect(new Set([key, ...keys]).size).toBe(keys.length + 1);
});
