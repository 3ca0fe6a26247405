import type { ModelDescription } from "@quern/shared/contract/worker";
import { readLines } from "@quern/shared/files/read-lines";
import { expect, test } from "vitest";
import { type CheckedInput, InputCheck, type InputRules } from "./input-check.ts";

const chat: ModelDescription = {
  model: "tiny-qwen3",
  aliases: ["tiny"],
  kind: "chat",
  embeddingDimensions: null,
  architecture: "qwen3",
  parameters: 1,
  experts: null,
  contextTokens: 512,
  thinking: "optional",
  fileBytes: 1,
  maxTokenBytes: null,
};
const vectors: ModelDescription = { ...chat, model: "vectors", aliases: [], kind: "embedding" };
const endpoint = "/v1/chat/completions";
const rules: InputRules = {
  endpoint,
  models: [chat, vectors],
  maxLines: 1_000,
  maxLineBytes: 1_000,
  dedupe: false,
};

const line = (customId: string, body: object = {}, rest: object = {}) =>
  JSON.stringify({
    custom_id: customId,
    method: "POST",
    url: endpoint,
    body: { model: "tiny", ...body },
    ...rest,
  });

async function check(content: string | Buffer, changes: Partial<InputRules> = {}): Promise<CheckedInput> {
  const input = new InputCheck({ ...rules, ...changes });
  const source = (async function* () {
    yield Buffer.from(content);
  })();
  for await (const fileLine of readLines(source, { maxLineBytes: changes.maxLineBytes ?? 1_000 })) {
    if (input.add(fileLine) === "enough") break;
  }
  return input.end();
}

async function faultsOf(...args: Parameters<typeof check>) {
  const checked = await check(...args);
  if (checked.kind !== "faulty") throw new Error("the input is sound");
  return checked.faults.map(({ code, line: number, param }) => [code, number, param]);
}

test("a sound input: its lines, and its model by its own name", async () => {
  const content = [line("a"), "", line("b", { model: "tiny-qwen3" })].join("\r\n");
  expect(await check(content)).toEqual({ kind: "sound", model: "tiny-qwen3", total: 2, leaders: null });
});

test("all faults are told at once, each with its line", async () => {
  const content = [
    line("a"),
    "{",
    line("a"),
    line("", {}),
    line("c", {}, { method: "GET" }),
    line("d", {}, { url: "/v1/completions" }),
    line("e", { model: "other" }),
    line("f", { model: undefined }),
    line("g", { text: "x".repeat(1_000) }),
    "[1]",
    line("h", {}, { body: undefined }),
  ].join("\n");
  expect(await faultsOf(content)).toEqual([
    ["invalid_json_line", 2, null],
    ["duplicate_custom_id", 3, "custom_id"],
    ["invalid_request_line", 4, "custom_id"],
    ["invalid_request_line", 5, "method"],
    ["url_mismatch", 6, "url"],
    ["model_mismatch", 7, "body.model"],
    ["invalid_request_line", 8, "body.model"],
    ["line_too_long", 9, null],
    ["invalid_request_line", 10, null],
    ["invalid_request_line", 11, "body"],
  ]);
});

test("what is not UTF-8 says so", async () => {
  expect(await faultsOf(Buffer.from([0x7b, 0xff, 0x7d]))).toEqual([["invalid_json_line", 1, null]]);
});

test("a file without requests", async () => {
  expect(await faultsOf("\n \n")).toEqual([["empty_file", null, null]]);
});

test("more requests than are taken", async () => {
  const content = Array.from({ length: 4 }, (_, at) => line(String(at))).join("\n");
  expect(await faultsOf(content, { maxLines: 3 })).toEqual([["too_many_tasks", null, null]]);
  expect(await check(content, { maxLines: 4 })).toMatchObject({ kind: "sound", total: 4 });
});

test("a model that nobody serves is told once, and so is one of the wrong kind", async () => {
  const nobody = [line("a", { model: "gpt" }), line("b", { model: "gpt" })].join("\n");
  const fault = { code: "model_not_found", line: 1, param: "body.model" };
  expect(await check(nobody)).toMatchObject({ kind: "model_unknown", name: "gpt", faults: [fault] });
  expect(await faultsOf(line("a", { model: "vectors" }))).toEqual([["model_not_found", 1, "body.model"]]);
  const embeddings = line("a", { model: "vectors" }, { url: "/v1/embeddings" });
  expect(await check(embeddings, { endpoint: "/v1/embeddings" })).toMatchObject({ model: "vectors" });
});

test("of many faults a hundred are told, and that there are more", async () => {
  const checked = await check("{\n".repeat(500));
  if (checked.kind !== "faulty") throw new Error("the input is sound");
  expect(checked.faults).toHaveLength(101);
  expect(checked.faults[99]).toMatchObject({ line: 100 });
  expect(checked.faults[100]).toMatchObject({ line: null, message: expect.stringContaining("more faults") });
  const hundred = await check("{\n".repeat(100));
  expect(hundred).toMatchObject({ kind: "faulty", faults: { length: 100 } });
});

test("lines that ask for the same, and have one answer, are copies of the first", async () => {
  const greedy = { temperature: 0, messages: [{ role: "user", content: "Hi" }] };
  const turned = { messages: [{ content: "Hi", role: "user" }], temperature: 0 };
  const content = [
    line("a", greedy),
    line("b", { ...greedy, temperature: 1 }),
    line("c", turned),
    line("d", { ...greedy, temperature: 1 }),
    line("e", { ...greedy, temperature: 1, seed: 7 }),
    line("f", { ...greedy, temperature: 1, seed: 7 }),
    line("g", { ...greedy, temperature: 1, seed: 8 }),
    line("h", greedy),
  ].join("\n");
  const checked = await check(content, { dedupe: true });
  expect(checked).toMatchObject({ kind: "sound", leaders: Int32Array.of(-1, -1, 0, -1, -1, 4, -1, 0) });
  expect(await check(content)).toMatchObject({ leaders: null });
  expect(await check(line("a", greedy), { dedupe: true })).toMatchObject({ leaders: null });
});

test("each of many custom_ids is told from all others", async () => {
  const input = new InputCheck({ ...rules, maxLines: 100_000 });
  const fileLine = (number: number, customId: string) => ({
    number,
    offset: 0,
    bytes: 0,
    line: line(customId),
  });
  for (let number = 1; number <= 20_000; number += 1) input.add(fileLine(number, `request-${number}`));
  for (const of of [1, 9_999, 20_000]) input.add(fileLine(30_000 + of, `request-${of}`));
  expect(input.end()).toMatchObject({
    kind: "faulty",
    faults: [1, 9_999, 20_000].map((of) => ({
      code: "duplicate_custom_id",
      line: 30_000 + of,
      message: expect.stringContaining(`line ${of}:`),
    })),
  });
});

test("a body that is nested too deep to be compared is compared with none", async () => {
  const deep = `{"custom_id":"deep","method":"POST","url":"${endpoint}","body":{"model":"tiny","seed":1,"messages":${"[".repeat(20_000)}${"]".repeat(20_000)}}}`;
  const plain = { seed: 1, messages: [] };
  const content = [line("a", plain), deep, line("b", plain)].join("\n");
  const leaders = new Int32Array([-1, -1, 0]);
  expect(await check(content, { dedupe: true, maxLineBytes: 100_000 })).toMatchObject({
    kind: "sound",
    leaders,
  });
});

test("with an unknown model the other faults count, but not the names that it may turn out to have", async () => {
  const gpt = line("a", { model: "gpt" });
  expect(await check([gpt, line("b", { model: "gpt-latest" })].join("\n"))).toMatchObject({
    kind: "model_unknown",
    name: "gpt",
  });
  expect(await faultsOf([gpt, "{"].join("\n"))).toEqual([
    ["model_not_found", 1, "body.model"],
    ["invalid_json_line", 2, null],
  ]);
  // No model has so long a name.
  expect(await faultsOf(line("a", { model: "x".repeat(201) }))).toHaveLength(1);
});
