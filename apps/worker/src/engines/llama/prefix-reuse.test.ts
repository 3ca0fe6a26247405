import { mkdtemp, readdir, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generationRequest } from "@quern/shared/contract/generation-request.fixture";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startEngine } from "./running-engine.fixture.ts";

const TINY = join(import.meta.dirname, "..", "..", "..", "..", "..", "models", "tiny-qwen3-q8_0.gguf");
const SYSTEM = `You are a helpful assistant. ${"You answer briefly and kindly, and never say more than you know. ".repeat(3)}`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-prefixes-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function ask(country: string) {
  const messages = [
    { role: "system" as const, content: SYSTEM },
    { role: "user" as const, content: `What is the capital of ${country}?` },
  ];
  return generationRequest({ messages, templateOptions: { enable_thinking: false } });
}

/** How many tokens two prompts of this test begin with alike, at least. */
const SHARED_TOKENS = 40;

test("a prompt goes on behind what a slot's cache holds of it, and says how much that was", async () => {
  await using engine = await startEngine(TINY, { slots: 2 });
  const first = await engine.generate(ask("France")).done;
  expect(first.usage.cachedTokens).toBe(0);
  const second = await engine.generate(ask("Italy")).done;
  expect(second.result.text).toContain("Rome");
  expect(second.usage.cachedTokens).toBeGreaterThan(SHARED_TOKENS);
  const computed = engine.steps.reduce((sum, { prefillTokens }) => sum + prefillTokens, 0);
  const prompts = first.usage.promptTokens + second.usage.promptTokens;
  expect(computed).toBe(prompts - second.usage.cachedTokens);
});

test("the same prompt again computes its last token only", async () => {
  await using engine = await startEngine(TINY, { slots: 1 });
  const first = await engine.generate(ask("France")).done;
  const again = await engine.generate(ask("France")).done;
  expect(again.usage.cachedTokens).toBe(again.usage.promptTokens - 1);
  expect(again.result).toEqual(first.result);
});

test("a conversation goes on behind its own last answer", async () => {
  await using engine = await startEngine(TINY, { slots: 2 });
  const request = ask("France");
  const { result, usage } = await engine.generate(request).done;
  const messages = [
    ...request.messages,
    { role: "assistant" as const, content: result.text },
    { role: "user" as const, content: "What is the capital of Italy?" },
  ];
  const next = await engine.generate({ ...request, messages }).done;
  expect(next.usage.cachedTokens).toBeGreaterThan(usage.promptTokens - 10);
});

test("requests that arrive together compute their common beginning once", async () => {
  await using engine = await startEngine(TINY, { slots: 4 });
  const countries = ["France", "Italy", "Spain", "Japan"];
  const together = await Promise.all(countries.map((country) => engine.generate(ask(country)).done));
  const [first, ...others] = together.map(({ usage }) => usage.cachedTokens);
  expect(first).toBe(0);
  for (const cached of others) expect(cached).toBeGreaterThan(SHARED_TOKENS);
  expect(together.map(({ result }) => result.text)).toEqual([
    "The capital of France is Paris.",
    "The capital of Italy is Rome.",
    "The capital of Spain is Madrid.",
    "The capital of Japan is Tokyo.",
  ]);
});

test("a request whose prefix was being computed goes on alone when that one is cancelled", async () => {
  await using engine = await startEngine(TINY, { slots: 2 });
  const first = engine.generate(ask("France"));
  const second = engine.generate(ask("Italy"));
  engine.engine.cancel(first.id);
  expect((await first.done).result.finishReason).toBeNull();
  expect((await second.done).result.text).toBe("The capital of Italy is Rome.");
});

test("a request never profits from a prompt of another cache scope", async () => {
  await using engine = await startEngine(TINY, { slots: 2 });
  await engine.generate(ask("France"), "one").done;
  expect((await engine.generate(ask("France"), "other").done).usage.cachedTokens).toBe(0);
  expect((await engine.generate(ask("France"), "one").done).usage.cachedTokens).toBeGreaterThan(
    SHARED_TOKENS,
  );
});

test("a declared system prompt is warm for every tenant, its first word included, also after a restart", async () => {
  const warm = { slots: 2, systemPrompts: [SYSTEM], stateDir: folder };
  const cachedOfFirst = async () => {
    await using engine = await startEngine(TINY, warm);
    const { usage, result } = await engine.generate(ask("France"), "one").done;
    expect(result.text).toBe("The capital of France is Paris.");
    const other = await engine.generate(ask("Italy"), "other").done;
    expect(other.usage.cachedTokens).toBe(usage.cachedTokens);
    return usage.cachedTokens;
  };
  const cached = await cachedOfFirst();
  expect(cached).toBeGreaterThan(SHARED_TOKENS);
  const files = await readdir(folder);
  expect(files).toHaveLength(1);
  expect(await cachedOfFirst()).toBe(cached);
  expect(await readdir(folder)).toEqual(files);

  await truncate(join(folder, files[0] as string), 1_000);
  expect(await cachedOfFirst()).toBe(cached);
});

test("the public interface alone reuses a slot's own cache", async () => {
  await using engine = await startEngine(TINY, { slots: 1, driver: "sequence" });
  await engine.generate(ask("France")).done;
  const second = await engine.generate(ask("Italy")).done;
  expect(second.result.text).toBe("The capital of Italy is Rome.");
  expect(second.usage.cachedTokens).toBeGreaterThan(SHARED_TOKENS);
});

test("a system prompt that no slot can hold is refused at the start, with its place in the list", async () => {
  const starting = startEngine(TINY, {
    systemPrompts: ["Be kind.", SYSTEM.repeat(3)],
    contextTokens: 64,
    stateDir: folder,
  });
  await expect(starting).rejects.toMatchObject({
    code: "config_invalid",
    message: expect.stringMatching(/number 2 has \d+ tokens/),
  });
});
