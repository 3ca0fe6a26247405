import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeRandomModel } from "@quern/testing/gguf/random-model";
import type { Token } from "node-llama-cpp";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { LoadedChatModel } from "../load-model.ts";
import {
  emptySlots,
  feed,
  GREEDY,
  openModel,
  promptTokens,
  sampleTokens,
  TINY_MODEL,
} from "./driver.fixture.ts";

const STEPS = 16;

describe.each(["batch", "sequence"] as const)("caches that the %s driver saves", (name) => {
  let loaded: LoadedChatModel;
  let folder: string;
  let prompt: Token[];
  let reference: Token[];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "quern-saved-caches-"));
    loaded = await openModel(TINY_MODEL, name);
    prompt = promptTokens(loaded, "Tell me a short story about a cat.");
    reference = await goOn(0, 0);
    await loaded.driver.truncate(0, 0);
    await feed(loaded.driver, 0, 0, prompt);
    await loaded.driver.save(0, join(folder, "whole"), prompt);
  });
  afterEach(() => emptySlots(loaded.driver));
  afterAll(async () => {
    await loaded[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  async function goOn(slot: number, held: number): Promise<Token[]> {
    const sampler = loaded.driver.createSampler(GREEDY, []);
    const stream = { slot, held, tokens: prompt.slice(held), sampler };
    const [sampled = []] = await sampleTokens(loaded.driver, [stream], STEPS);
    sampler.dispose();
    return sampled;
  }

  test("go on in any slot as if computed there, whatever it held", async () => {
    const { driver } = loaded;
    await feed(driver, 3, 0, promptTokens(loaded, "Who are you? And what is the capital of France, please?"));
    for (const slot of [3, 0]) {
      expect(await driver.load(slot, join(folder, "whole"))).toEqual(prompt);
      await driver.truncate(slot, prompt.length - 1);
      expect(await goOn(slot, prompt.length - 1)).toEqual(reference);
    }
  });

  test.each<[string, (path: string) => Promise<void>]>([
    ["missing", (path) => rm(path)],
    ["empty", (path) => truncate(path, 0)],
    ["cut in its head", (path) => truncate(path, 10)],
    ["cut in its tokens", (path) => truncate(path, 40)],
    ["cut in the middle", async (path) => truncate(path, Math.floor((await readFile(path)).length / 2))],
    ["cut by one byte", async (path) => truncate(path, (await readFile(path)).length - 1)],
    ["overwritten with zeros", async (path) => writeFile(path, Buffer.alloc((await readFile(path)).length))],
    ["of another format", (path) => writeFile(path, "GGUF, or is it? ".repeat(1000))],
  ])("that are %s are refused, and the slot is as good as before", async (_, damage) => {
    const path = join(folder, "damaged");
    await writeFile(path, await readFile(join(folder, "whole")));
    await damage(path);
    await expect(loaded.driver.load(2, path)).rejects.toThrow();
    await loaded.driver.truncate(2, 0);
    expect(await goOn(2, 0)).toEqual(reference);
  });

  test("of a model of another shape are refused", async () => {
    const other = join(folder, "other.gguf");
    await writeRandomModel(other, { layers: 2, hidden: 64 });
    const path = join(folder, "of-other");
    const otherLoaded = await openModel(other, name);
    const tokens = prompt.slice(0, 8).map((token) => (token % 256) as Token);
    await feed(otherLoaded.driver, 0, 0, tokens);
    await otherLoaded.driver.save(0, path, tokens);
    await otherLoaded[Symbol.asyncDispose]();
    await expect(loaded.driver.load(2, path)).rejects.toThrow();
    await loaded.driver.truncate(2, 0);
    expect(await goOn(2, 0)).toEqual(reference);
  });

  test("that are longer than a slot are refused", async () => {
    const path = join(folder, "long");
    const long = Array<Token>(300).fill(prompt[0] as Token);
    await feed(loaded.driver, 0, 0, long);
    await loaded.driver.save(0, path, long);
    const small = await openModel(TINY_MODEL, name, { contextTokens: 256, slots: 2 });
    await expect(small.driver.load(1, path)).rejects.toThrow();
    await small[Symbol.asyncDispose]();
  });

  test("with one damaged byte anywhere are refused, also after the file was good", async () => {
    const whole = await readFile(join(folder, "whole"));
    const path = join(folder, "flipped");
    await writeFile(path, whole);
    expect(await loaded.driver.load(2, path)).toEqual(prompt);
    for (let at = 0; at < whole.length; at += Math.ceil(whole.length / 50)) {
      const flipped = Buffer.from(whole);
      flipped[at] = (flipped[at] as number) ^ 0x80;
      await writeFile(path, flipped);
      await expect(loaded.driver.load(2, path)).rejects.toThrow(/damaged/);
    }
  });
});
