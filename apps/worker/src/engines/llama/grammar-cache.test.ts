import type { Llama } from "node-llama-cpp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startLlama } from "../../prepare/grammar/llama-grammar.fixture.ts";
import { GrammarCache } from "./grammar-cache.ts";

let llama: Llama;
beforeAll(async () => {
  llama = await startLlama();
});
afterAll(() => llama.dispose());

test("one text is read once, while it is among the latest used", async () => {
  const cache = new GrammarCache(llama, 2);
  const [a, b] = [await cache.get('root ::= "a"'), await cache.get('root ::= "b"')];
  expect(await cache.get('root ::= "a"')).toBe(a);
  await cache.get('root ::= "c"');
  expect(await cache.get('root ::= "a"')).toBe(a);
  expect(await cache.get('root ::= "b"')).not.toBe(b);
});

test("what llama.cpp can't read is the caller's error, each time", async () => {
  const cache = new GrammarCache(llama);
  for (const _time of [1, 2]) {
    await expect(cache.get("root ::= missing")).rejects.toMatchObject({ code: "invalid_request" });
  }
});
