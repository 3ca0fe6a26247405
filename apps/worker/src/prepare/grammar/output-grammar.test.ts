import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TemplateTool } from "@quern/shared/contract/generation";
import { writeRandomModel } from "@quern/testing/gguf/random-model";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { Llama, LlamaContext, LlamaContextSequence } from "node-llama-cpp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { OutputParser } from "../../engines/llama/output/output-parser.ts";
import type { ToolCallForm } from "../../protocol/prepared-request.ts";
import { promptReader } from "../prompt/prompt-reader.ts";
import { vocabularyOf } from "../tokens/vocabulary.ts";
import { generate, grammarFor, grammarTakes, startLlama } from "./llama-grammar.fixture.ts";
import { STRING_FORMATS } from "./pattern/string-formats.ts";
import { SCHEMA_CORPUS } from "./schema/schema-corpus.fixture.ts";

const DEMO_MODEL = join(import.meta.dirname, "../../../../../models/tiny-qwen3-q8_0.gguf");
const MAX_TOKENS = 120;

const tool = (name: string, parameters?: Record<string, unknown>): TemplateTool => ({
  type: "function",
  function: parameters === undefined ? { name } : { name, parameters },
});
const weather = tool("get_weather", {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
});
const search = tool("get_web", {
  $defs: { kind: { enum: ["news", 'the "rest"'] } },
  type: "object",
  properties: {
    query: { type: "string", minLength: 1, maxLength: 12 },
    limit: { type: "integer", minimum: 1, maximum: 20 },
    kinds: { type: "array", items: { $ref: "#/$defs/kind" }, maxItems: 3 },
    since: { type: "string", format: "date" },
    kind: { $ref: "#/$defs/kind" },
    exact: { type: ["boolean", "null"] },
  },
  required: ["query", "kinds"],
});
const tools = [weather, search, tool("now")];

const ajv = new Ajv2020({ strict: false });
for (const [format, pattern] of STRING_FORMATS) ajv.addFormat(format, new RegExp(pattern));
ajv.addFormat("email", true);

let llama: Llama;
const contexts: LlamaContext[] = [];
const sequences = new Map<string, LlamaContextSequence>();
let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "quern-grammar-"));
  const randomModel = join(directory, "random.gguf");
  await writeRandomModel(randomModel);
  llama = await startLlama();
  for (const [name, modelPath] of [
    ["demo", DEMO_MODEL],
    ["random", randomModel],
  ] as const) {
    const model = await llama.loadModel({ modelPath });
    const context = await model.createContext({ sequences: 1, contextSize: 1_024, threads: 1 });
    contexts.push(context);
    sequences.set(name, context.getSequence());
  }
});
afterAll(async () => {
  for (const context of contexts) {
    await context.dispose();
    await context.model.dispose();
  }
  await llama.dispose();
  await rm(directory, { recursive: true });
});

function sequenceOf(model: string): LlamaContextSequence {
  const sequence = sequences.get(model);
  if (sequence === undefined) throw new Error(`no model ${model}`);
  return sequence;
}

/** What a hot model says under a grammar, with every seed with which it came to an end. */
async function endedTexts(model: string, grammar: string | null, seeds = 4): Promise<string[]> {
  const sequence = sequenceOf(model);
  const promptTokens = sequence.model.tokenize("Answer:");
  const texts: string[] = [];
  for (let seed = 1; seed <= seeds; seed += 1) {
    const { text, ending } = await generate(sequence, grammar ?? "", {
      promptTokens,
      seed,
      temperature: 1.5,
      maxTokens: MAX_TOKENS,
    });
    if (ending === "ended") texts.push(text);
  }
  return texts;
}

function callsIn(
  text: string,
  form: ToolCallForm,
): { text: string; calls: { name: string; arguments: string }[] } {
  const parser = new OutputParser({ begin: "answering", tools, toolCallForm: form, toolCallId: String });
  const parts = [...parser.push(text), ...parser.end()];
  const calls: { name: string; arguments: string }[] = [];
  for (const part of parts) {
    if (part.kind !== "tool_call") continue;
    const { name, arguments: piece = "" } = part.call.function;
    if (name !== undefined) calls.push({ name, arguments: piece });
    else (calls[part.call.index] as (typeof calls)[number]).arguments += piece;
  }
  return { text: parts.map((part) => (part.kind === "text" ? part.text : "")).join(""), calls };
}

describe.each(["demo", "random"])("a hot %s model", (model) => {
  test("writes nothing but JSON that satisfies the schema, whatever the seed", async () => {
    let ended = 0;
    for (const { name, schema } of SCHEMA_CORPUS) {
      const texts = await endedTexts(model, grammarFor({ format: { type: "json_schema", schema } }));
      for (const text of texts)
        expect([text, ajv.validate(schema, JSON.parse(text)), ajv.errors], name).toEqual([text, true, null]);
      ended += texts.length;
    }
    // Texts without a bound often go on past the limit; far more than this end.
    expect(ended).toBeGreaterThan(SCHEMA_CORPUS.length);
  });

  test("writes objects when any JSON object is asked for", async () => {
    const texts = await endedTexts(model, grammarFor({ format: { type: "json_object" } }), 16);
    for (const text of texts) expect(JSON.parse(text)).toBeTypeOf("object");
    expect(texts).not.toEqual([]);
  });

  test.each<ToolCallForm>(["hermes", "xml"])("calls tools in the %s form when it must", async (form) => {
    let called = 0;
    for (const allowed of tools) {
      const toolChoice = { type: "function", name: allowed.function.name } as const;
      for (const output of await endedTexts(model, grammarFor({ tools, toolChoice, form }), 8)) {
        const { text, calls } = callsIn(output, form);
        expect(text, output).toBe("");
        for (const call of calls) {
          expect(call.name, output).toBe(allowed.function.name);
          const schema = allowed.function.parameters ?? { type: "object", maxProperties: 0 };
          expect([ajv.validate(schema, JSON.parse(call.arguments)), ajv.errors], output).toEqual([
            true,
            null,
          ]);
          called += 1;
        }
      }
    }
    expect(called).toBeGreaterThan(0);
  });
});

test("the demo model writes the arguments it was trained to write", async () => {
  const sequence = sequenceOf("demo");
  const request = {
    completion: null,
    messages: [{ role: "user" as const, content: "What is the weather in Oslo?" }],
    tools: [weather],
    templateOptions: { enable_thinking: false },
  };
  const { tokens } = promptReader(vocabularyOf(sequence.model), false)(request, Number.POSITIVE_INFINITY);
  const grammar = grammarFor({ tools: [weather], toolChoice: { type: "required" } }) ?? "";
  const { text } = await generate(sequence, grammar, {
    promptTokens: tokens,
    seed: 1,
    temperature: 0,
    maxTokens: 100,
  });
  expect(callsIn(text, "hermes").calls).toEqual([{ name: "get_weather", arguments: '{"city": "Oslo"}' }]);
});

test("an answer is free unless something is asked of it", () => {
  expect(grammarFor({})).toBeNull();
  expect(grammarFor({ tools })).toBeNull();
});

test.each<ToolCallForm>(["hermes", "xml"])(
  "one that may call or answer in JSON does either (%s)",
  async (form) => {
    const takes = await grammarTakes(
      llama,
      grammarFor({ tools, form, format: { type: "json_object" } }) ?? "",
    );
    const call = {
      hermes: '<tool_call>\n{"name": "get_weather", "arguments": {"town": 1}}\n</tool_call>',
      xml: "<tool_call>\n<function=get_weather>\n<parameter=town>\n1\n2\n</parameter>\n</function>\n</tool_call>",
    }[form];
    for (const output of ['\n\n{"a": 1}', call, `${call}\n${call}`]) expect(takes(output), output).toBe(true);
    for (const output of ["text", `${call}{}`, call.replace("get_weather", "get_weathers")]) {
      expect(takes(output), output).toBe(false);
    }
  },
);

test("XML values are texts where the parser takes them for texts", async () => {
  const parameters = {
    type: "object",
    properties: {
      code: { type: "string" },
      level: { enum: ["a<b", "c"] },
      count: { type: "integer" },
      any: {},
    },
    required: ["code", "level", "count", "any"],
  };
  const asked = { tools: [tool("run", parameters)], toolChoice: { type: "required" }, form: "xml" } as const;
  const takes = await grammarTakes(llama, grammarFor({ ...asked, tools: [...asked.tools] }) ?? "");
  const output = (code: string, level: string, count: string, any: string) =>
    `<tool_call>\n<function=run>\n${Object.entries({ code, level, count, any })
      .map(([name, value]) => `<parameter=${name}>\n${value}\n</parameter>\n`)
      .join("")}</function>\n</tool_call>`;
  expect(takes(output("if (a < b) {\n  <p>\n}\n", "a<b", "-3", "free"))).toBe(true);
  expect(takes(output("x</parameter>", "c", "1", ""))).toBe(false);
  expect(takes(output("", '"c"', "1", ""))).toBe(false);
  expect(takes(output("", "c", "one", ""))).toBe(false);
});

test("XML texts keep to their bounds where null is allowed too, and may hold tags but their own end", async () => {
  const parameters = {
    type: "object",
    properties: {
      level: { anyOf: [{ enum: ["high", "low"] }, { type: "null" }] },
      code: { type: ["string", "null"], pattern: "^[A-Z]+$" },
      page: { type: "string" },
    },
    required: ["level", "code", "page"],
  };
  const asked = { tools: [tool("run", parameters)], toolChoice: { type: "required" }, form: "xml" } as const;
  const takes = await grammarTakes(llama, grammarFor({ ...asked, tools: [...asked.tools] }) ?? "");
  const output = (level: string, code: string, page: string) =>
    `<tool_call>\n<function=run>\n${Object.entries({ level, code, page })
      .map(([name, value]) => `<parameter=${name}>\n${value}\n</parameter>\n`)
      .join("")}</function>\n</tool_call>`;
  const page = "<p>\n<<b></b></p></para></</parameter\n<</tool_call></paramete<br/>\n";
  expect(takes(output("low", "A", page))).toBe(true);
  expect(takes(output("null", "null", "null"))).toBe(true);
  expect(takes(output("nul", "A", ""))).toBe(false);
  expect(takes(output("medium", "A", ""))).toBe(false);
  expect(takes(output("low", "a", ""))).toBe(false);
  for (const end of ["</parameter>", "<</parameter>", "</</parameter>", "</param</parameter>"]) {
    expect(takes(output("low", "A", `x${end}\ny`)), end).toBe(false);
  }
});

test("an XML parameter that names no type is a text, whatever bounds other types have", async () => {
  const parameters = { type: "object", properties: { a: { minimum: 1 } }, required: ["a"] };
  const asked = { toolChoice: { type: "required" }, form: "xml" } as const;
  const takes = await grammarTakes(llama, grammarFor({ ...asked, tools: [tool("run", parameters)] }) ?? "");
  const call = "<tool_call>\n<function=run>\n<parameter=a>\nx\n</parameter>\n</function>\n</tool_call>";
  expect(takes(call)).toBe(true);
});

test.each(["a>b", "a\nb", ""])("a parameter named %j can't be told in XML", (name) => {
  const odd = tool("odd", { type: "object", properties: { [name]: {} } });
  const asked = { tools: [odd], toolChoice: { type: "required" } } as const;
  expect(() => grammarFor({ ...asked, tools: [odd], form: "xml" })).toThrow(
    /can't be the name of a parameter/,
  );
  expect(grammarFor({ ...asked, tools: [odd], form: "hermes" })).not.toBeNull();
});

test("a tool that is not there, and a schema that can't be enforced, are the caller's to cure", () => {
  const unknown = { tools, toolChoice: { type: "function", name: "nothing" } } as const;
  expect(() => grammarFor({ ...unknown, tools })).toThrow(
    expect.objectContaining({ code: "invalid_request", param: "tool_choice" }),
  );
  expect(() => grammarFor({ toolChoice: { type: "required" } })).toThrow(/tool_choice asks for a call/);
  const odd = tool("odd", { type: "object", properties: { a: { not: {} } } });
  expect(() => grammarFor({ tools: [odd], toolChoice: { type: "required" } })).toThrow(
    /tools can't be enforced: odd#\/properties\/a\/not /,
  );
  expect(grammarFor({ tools: [odd], format: { type: "json_object" } })).not.toBeNull();
});
