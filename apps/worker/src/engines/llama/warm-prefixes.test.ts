import { mkdtemp, readdir, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Token } from "node-llama-cpp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CheckedDriver } from "./checked-driver.fixture.ts";
import { openModel, promptTokens, TINY_MODEL } from "./driver/driver.fixture.ts";
import type { LoadedChatModel } from "./load-model.ts";
import { prepareWarmPrefixes } from "./warm-prefixes.ts";

let loaded: LoadedChatModel;
let folder: string;
let prompt: Token[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-warm-"));
  loaded = await openModel(TINY_MODEL, "batch");
  prompt = promptTokens(loaded, "Tell me a story about a brave fox and a red balloon. ".repeat(3));
});
afterAll(async () => {
  await loaded[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** How many tokens were computed to make the prefixes ready. */
async function prepare(modelKey: string, prefixes: readonly (readonly Token[])[]) {
  const driver = new CheckedDriver(loaded.driver);
  const warm = await prepareWarmPrefixes(driver, prefixes, { folder, modelKey });
  expect(driver.problems).toEqual([]);
  return { warm, computed: driver.seen.chunks };
}

test("a prefix is computed once, and again when its file is damaged or another model's", async () => {
  const prefixes = [prompt.slice(0, 20), prompt.slice(0, 40)];
  expect((await prepare("a", prefixes)).computed).toBe(2);
  expect((await prepare("a", prefixes)).computed).toBe(0);
  const [file = ""] = await readdir(folder);
  await truncate(join(folder, file), 3000);
  expect((await prepare("a", prefixes)).computed).toBe(1);
  expect((await prepare("b", prefixes)).computed).toBe(2);
  expect((await readdir(folder)).every((name) => /^[ab]-[0-9a-f]{32}\.state$/.test(name))).toBe(true);
});

test("the longest prefix counts that a prompt begins with whole, and is loaded where it saves enough", async () => {
  const { warm } = await prepare("a", [prompt.slice(0, 20), prompt.slice(0, 40)]);
  expect(warm.publicTokens(prompt)).toBe(40);
  expect(warm.publicTokens(prompt.slice(0, 39))).toBe(20);
  expect(warm.publicTokens(prompt.slice(1))).toBe(0);
  expect(warm.stored(prompt, 8)?.tokens).toHaveLength(40);
  expect(warm.stored(prompt, 9)).toBeNull();
});
