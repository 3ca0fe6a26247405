import { Ajv2020 } from "ajv/dist/2020.js";
import {
  getLlama,
  type Llama,
  type LlamaContext,
  LlamaGrammarEvaluationState,
  type LlamaModel,
} from "node-llama-cpp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { outputGrammar } from "./output-grammar.ts";
import { SCHEMA_CORPUS } from "./schema-corpus.fixture.ts";

let llama: Llama;
beforeAll(async () => {
  llama = await getLlama({ build: "never", maxThreads: 1, gpu: false });
});
afterAll(async () => {
  await llama.dispose();
});

describe.each(SCHEMA_CORPUS)("$name", ({ schema, taken, refused }) => {
  test("takes and refuses", async () => {
    const validate = new Ajv2020({
      strict: false,
      formats: { date: true, time: true, "date-time": true, uuid: true, email: true },
    }).compile(schema);
    const text =
      outputGrammar(
        { format: { type: "json_schema", schema }, toolChoice: { type: "auto" }, tools: [] },
        "hermes",
      ) ?? "";
    const grammar = await llama.createGrammar({ grammar: text });
    const takes = (json: string) =>
      (grammar as unknown as { _testText(text: string): boolean })._testText(json);
    for (const json of taken) {
      expect(takes(json), json).toBe(true);
      expect(validate(JSON.parse(json)), json).toBe(true);
    }
    for (const json of refused) expect(takes(json), json).toBe(false);
  });
});
