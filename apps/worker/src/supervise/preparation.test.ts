import { copyFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { generationRequest } from "@quern/shared/contract/generation-request.fixture";
import { afterEach, expect, test } from "vitest";
import { engineOptions } from "../model-options.fixture.ts";
import { Preparation, preparationCost } from "./preparation.ts";
import { PreparerDied, PreparerUnavailable } from "./preparation-lane.ts";

const TINY = join(import.meta.dirname, "..", "..", "..", "..", "models", "tiny-qwen3-q8_0.gguf");
const never = new AbortController().signal;
let preparation: Preparation | null = null;
afterEach(async () => {
  await preparation?.[Symbol.asyncDispose]();
  expect(await preparers()).toEqual([]);
});

async function start(contextTokens = 1_024): Promise<Preparation> {
  preparation = await Preparation.start(engineOptions(TINY, { contextTokens }), never);
  return preparation;
}
const ask = (content: string) => generationRequest({ messages: [{ role: "user", content }] });
/** Some seconds of work: words that the cheap bounds let through. */
const longWork = () => ask("The capital of France is Paris. ".repeat(60_000));

test("a quick request is answered while a long one is at work, and is not told that it takes long", async () => {
  const { prepare } = await bound(await start(2 ** 20));
  const order: string[] = [];
  let slow = 0;
  const long = prepare("long", longWork(), () => {
    slow += 1;
  }).then(() => order.push("long"));
  const quick = [1, 2, 3].map((n) =>
    prepare(`quick-${n}`, ask("Hello"), () => {
      slow += 1;
    }).then(() => order.push("quick")),
  );
  await Promise.all([long, ...quick]);
  expect(order).toEqual(["quick", "quick", "quick", "long"]);
  expect(slow).toBe(1);
});

test("a request that is stopped while it waits rejects at once, and the others go on", async () => {
  const { prepare } = await bound(await start(2 ** 20));
  const stop = new AbortController();
  const long = prepare("long", longWork());
  const waiting = prepare("waiting", longWork(), () => {}, stop.signal);
  stop.abort("cancelled");
  await expect(waiting).rejects.toBe("cancelled");
  expect((await long).kind).toBe("generation");
});

test("a preparer that dies takes one request with it, and the next one finds another", async () => {
  const { prepare } = await bound(await start(2 ** 20));
  // The slow lane starts its preparer with its first request.
  await prepare("first", longWork());
  const pids = await preparers();
  expect(pids).toHaveLength(2);
  const dying = prepare("dying", longWork());
  const waiting = prepare("waiting", longWork());
  for (const pid of pids) process.kill(pid, "SIGKILL");
  await expect(dying).rejects.toThrow(PreparerDied);
  expect((await waiting).kind).toBe("generation");
  expect((await prepare("quick", ask("Hello")).catch(() => prepare("again", ask("Hello")))).kind).toBe(
    "generation",
  );
});

test("a small schema that takes long to unfold goes to the slow lane", async () => {
  const { prepare } = await bound(await start());
  const apart = (from: number) => ({
    anyOf: Array.from({ length: 24 }, (_, at) => ({ const: `v${from + at}` })),
  });
  const schema = {
    type: "object",
    properties: { a: { allOf: [apart(0), apart(6)] }, b: { allOf: [apart(3), apart(9)] } },
  };
  let slow = 0;
  const request = generationRequest({
    messages: [{ role: "user", content: "Hello" }],
    format: { type: "json_schema", schema },
  });
  expect(preparationCost(request)).toBeLessThan(20_000);
  const prepared = await prepare("schema", request, () => {
    slow += 1;
  });
  expect(prepared).toMatchObject({ kind: "generation", generation: { grammar: expect.any(String) } });
  expect(slow).toBe(1);
});

test("a request is not to blame for a preparer that can't be started", async () => {
  const folder = await mkdtemp(join(tmpdir(), "quern-preparation-"));
  try {
    const copy = join(folder, "model.gguf");
    await copyFile(TINY, copy);
    preparation = await Preparation.start(engineOptions(copy, { contextTokens: 2 ** 20 }), never);
    await rm(copy);
    const { prepare } = await bound(preparation);
    await expect(prepare("long", longWork())).rejects.toThrow(PreparerUnavailable);
    expect((await prepare("quick", ask("Hello"))).kind).toBe("generation");
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("tokens are counted, and what can't be counted is refused", async () => {
  const opened = await start(64);
  expect(await opened.count(JSON.stringify({ inputs: ["a", "b c"] }), never)).toEqual([1, 2]);
  await expect(opened.count(JSON.stringify(ask("word ".repeat(500))), never)).rejects.toMatchObject({
    code: "context_length_exceeded",
  });
});

test("a model whose vocabulary can't be loaded is named", async () => {
  preparation = null;
  const missing = Preparation.start(engineOptions("/nowhere/model.gguf"), never);
  await expect(missing).rejects.toMatchObject({
    code: "model_load_failed",
    message: expect.stringMatching(/nowhere/),
  });
});

test("what a request costs grows with its text, its messages and its schemas", () => {
  const messages = (count: number) =>
    generationRequest({
      messages: Array.from({ length: count }, () => ({ role: "user" as const, content: "" })),
    });
  const tools = (count: number) =>
    generationRequest({
      tools: Array.from({ length: count }, (_, n) => ({
        type: "function" as const,
        function: { name: `tool_${n}`, parameters: { type: "object" } },
      })),
    });
  for (const [less, more] of [
    [ask("a"), ask("a".repeat(1_000))],
    [messages(1), messages(100)],
    [tools(1), tools(10)],
  ] as const) {
    expect(preparationCost(more)).toBeGreaterThan(preparationCost(less) * 2);
  }
  const embedding = (text: string) => ({ inputs: [text], dimensions: null, encoding: "float" as const });
  expect(preparationCost(embedding("aa"))).toBe(2 * preparationCost(embedding("a")));
});

async function bound(opened: Preparation) {
  return {
    prepare: (
      id: string,
      request: Parameters<Preparation["prepare"]>[1],
      onSlow = () => {},
      signal = never,
    ) => opened.prepare(id, request, onSlow, signal),
  };
}

/** Pids of this process's preparer children. */
async function preparers(): Promise<number[]> {
  const children = await readFile(`/proc/${process.pid}/task/${process.pid}/children`, "utf8");
  const pids = children.trim().split(" ").filter(Boolean).map(Number);
  const mains = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")),
  );
  return pids.filter((_, at) => mains[at]?.includes("prepare/main.ts"));
}
