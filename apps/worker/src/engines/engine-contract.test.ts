import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nothingPublished, publishedChoices } from "@quern/shared/contract/published-choice";
import { writeRandomModel } from "@quern/testing/gguf/random-model";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { engineOptions } from "../model-options.fixture.ts";
import type { Delta } from "../protocol/delta.ts";
import type { OpenEngine } from "../protocol/engine.ts";
import type { Embedded, Generated } from "../protocol/engine-messages.ts";
import type { EngineOptions } from "../protocol/engine-options.ts";
import { encodeTokens } from "../protocol/token-ids.ts";
import { ContractEngine } from "./engine-contract.fixture.ts";
import { openLlamaEngine } from "./llama/llama-engine.ts";
import { openScriptedEngine } from "./scripted/scripted-engine.ts";

// What a worker relies on, whichever engine it runs: the rules of `protocol/engine.ts`.

const SLOTS = 3;
let folder: string;
let modelPath: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-contract-"));
  modelPath = join(folder, "model.gguf");
  await writeRandomModel(modelPath, { seed: 4 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const IMPLEMENTATIONS: { name: string; open: OpenEngine; driver: EngineOptions["driver"] }[] = [
  { name: "llama, batch driver", open: openLlamaEngine, driver: "batch" },
  { name: "llama, sequence driver", open: openLlamaEngine, driver: "sequence" },
  { name: "scripted", open: openScriptedEngine, driver: "batch" },
];

describe.each(IMPLEMENTATIONS)("$name", ({ open, driver }) => {
  let engine: ContractEngine;
  beforeEach(async () => {
    engine = await ContractEngine.open(
      open,
      engineOptions(modelPath, { slots: SLOTS, contextTokens: 256, driver }),
    );
  });
  afterEach(() => engine[Symbol.asyncDispose]());

  /** Prompts that differ, so that answers do. */
  const prompt = (first: number) => ({ promptTokens: encodeTokens([first, 9, 17, 23, 4]) });
  const generated = async (request: { done: Promise<Generated | Embedded> }) =>
    (await request.done) as Generated;

  test("a request ends once, with the text that its deltas add up to", async () => {
    const request = engine.generate();
    const { result, usage } = await generated(request);
    expect(request.published()[0]?.text).toBe("text" in result ? result.text : "");
    expect(result.finishReason).toMatch(/^(stop|length)$/);
    expect(usage.promptTokens).toBe(5);
    expect(usage.completionTokens).toBeLessThanOrEqual(12);
    const ends = engine.reports.flatMap(({ events }) => events).filter(({ type }) => type === "generated");
    expect(ends).toHaveLength(1);
  });

  test("an answer that nobody follows has no deltas, and the same text", async () => {
    const followed = await generated(engine.generate());
    const request = engine.generate({ isFollowed: false });
    expect((await generated(request)).result.text).toBe(followed.result.text);
    expect(request.deltas).toEqual([]);
  });

  test("max_tokens cuts the answer", async () => {
    const { result, usage } = await generated(engine.generate({ prepared: { maxTokens: 1 } }));
    expect(usage.completionTokens).toBe(1);
    expect(["length", "stop"]).toContain(result.finishReason);
  });

  test("a request holds a slot before its first delta, and none after its end", async () => {
    const request = engine.generate();
    const { id } = request;
    await engine.until(() => engine.occupancy.slots.includes(id));
    const seenAt = engine.reports.findIndex(({ occupancy }) => occupancy?.slots.includes(id));
    const spokeAt = engine.reports.findIndex(({ events }) => events.some(({ type }) => type === "deltas"));
    expect(spokeAt === -1 || seenAt < spokeAt).toBe(true);
    await request.done;
    await engine.until(() => !engine.occupancy.slots.includes(id));
  });

  test("no more run than there are slots, the others in the order that they carry", async () => {
    const [early, late] = [0, 1];
    const first = Array.from({ length: SLOTS }, (_, i) => engine.generate({ prepared: prompt(30 + i) }));
    const unhurried = engine.generate({ order: { rank: late, leaveFree: 0 }, prepared: prompt(40) });
    const urgent = engine.generate({ order: { rank: early, leaveFree: 0 }, prepared: prompt(41) });
    const ends = await Promise.all([...first, unhurried, urgent].map(generated));
    for (const { occupancy } of engine.reports) {
      expect(occupancy?.slots.length ?? SLOTS).toBe(SLOTS);
    }
    const [unhurriedEnd, urgentEnd] = [ends[SLOTS] as Generated, ends[SLOTS + 1] as Generated];
    expect(urgentEnd.timings.slotAtMs).toBeLessThanOrEqual(unhurriedEnd.timings.slotAtMs);
  });

  test("a request leaves as many slots free as its order says", async () => {
    const order = { rank: 1, leaveFree: SLOTS - 1 };
    const requests = [50, 51, 52].map((first) => engine.generate({ order, prepared: prompt(first) }));
    await Promise.all(requests.map(generated));
    for (const { occupancy } of engine.reports) {
      expect((occupancy?.slots ?? []).filter((id) => id !== null).length).toBeLessThanOrEqual(1);
    }
  });

  test("every choice takes a slot, and the job ends with the last of them", async () => {
    const request = engine.generate({ prepared: { choices: SLOTS + 1 } });
    const { result } = await generated(request);
    expect(result.alternatives).toHaveLength(SLOTS);
    expect(engine.reports.some(({ occupancy }) => occupancy?.slots.every((id) => id === request.id))).toBe(
      true,
    );
    const said = request.published().map(({ text }) => text);
    expect(said).toEqual([result, ...result.alternatives].map(({ text }) => text));
  });

  test("a cancelled request ends with what it has, in its slot or before it has one", async () => {
    const running = Array.from({ length: SLOTS }, (_, i) =>
      engine.generate({ prepared: { ...prompt(60 + i), maxTokens: 200 } }),
    );
    const waiting = engine.generate({ prepared: prompt(70) });
    for (const { id } of [waiting, ...running]) engine.engine.cancel(id);
    engine.engine.cancel("job_unknown");
    expect((await generated(waiting)).result).toMatchObject({ text: "", finishReason: null });
    for (const request of running) expect((await generated(request)).result.finishReason).toBeNull();
    expect((await generated(engine.generate())).result.finishReason).not.toBeNull();
  });

  test("a greedy answer resumes behind what was published, and comes to the same text", async () => {
    const whole = engine.generate({ prepared: prompt(80) });
    const { result } = await generated(whole);
    const first = publishedBy(whole.deltas.slice(0, 1));
    const resumed = engine.generate({ prepared: prompt(80), published: first });
    const after = await generated(resumed);
    expect(resumed.restarts).toBe(0);
    expect(after.result.text).toBe(result.text);
    expect((first[0]?.text ?? "") + (resumed.published()[0]?.text ?? "")).toBe(result.text);
  });

  test("what was published by another model is void, and the answer begins anew", async () => {
    const foreign = { text: "no engine says this", tokens: [1, 2, 3] };
    const request = engine.generate({ published: [{ ...nothingPublished(), ...foreign }] });
    const { result } = await generated(request);
    expect(request.restarts).toBe(1);
    expect(request.published()[0]?.text).toBe(result.text);
  });

  test("a grammar that can't be read is refused, and others go on", async () => {
    const other = engine.generate();
    const refused = engine.generate({ prepared: { grammar: "root ::= (" } });
    await expect(refused.done).rejects.toMatchObject({
      code: expect.stringMatching(/invalid_request|unsupported/),
    });
    expect((await generated(other)).result.finishReason).not.toBeNull();
  });

  test("vectors depend on the tokens, not on what runs beside them", async () => {
    const inputs = [
      [5, 6, 7],
      [8, 9],
    ].map(encodeTokens);
    const prepared = { inputs, dimensions: null, encoding: "base64" as const };
    const alone = (await engine.embed(prepared).done) as Embedded;
    const chat = engine.generate();
    const beside = (await engine.embed(prepared).done) as Embedded;
    await chat.done;
    expect(beside.result).toEqual(alone.result);
    expect(new Set(alone.result?.vectors).size).toBe(2);
    expect(alone.usage.promptTokens).toBe(5);
  });
});

function publishedBy(deltas: readonly Delta[]) {
  return publishedChoices(deltas.map((data) => ({ type: "delta", data })));
}
