import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Endpoint } from "@quern/shared/contract/job";
import { parseEndpointRequest } from "@quern/shared/openai/endpoint-request";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type InputLine, type InputSource, readInputLines } from "./input-lines.ts";
import { formatOf } from "./read-rows.ts";
import { surveyInput } from "./survey-input.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-input-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

interface Asked extends Partial<Omit<InputSource, "path" | "asking">> {
  asking?: Partial<InputSource["asking"]>;
}

async function source(name: string, content: string | Buffer, asked: Asked = {}): Promise<InputSource> {
  const path = join(folder, name);
  await writeFile(path, content);
  const { asking, ...given } = asked;
  return {
    path,
    format: formatOf(name),
    endpoint: null,
    prompt: null,
    system: null,
    idColumn: null,
    asking: { model: "m", maxTokens: null, temperature: null, schema: null, thinking: null, ...asking },
    ...given,
  };
}

async function survey(name: string, content: string | Buffer, asked: Asked = {}) {
  return surveyInput(await source(name, content, asked), new AbortController().signal);
}

const line = (id: string, change: object = {}) =>
  `${JSON.stringify({ custom_id: id, method: "POST", url: "/v1/completions", body: { prompt: "x" }, ...change })}\n`;

test.each<[string, string, string | Buffer, Asked, RegExp]>([
  ["an empty file", "in.csv", "", {}, /in\.csv is empty/],
  ["headings alone", "in.csv", "a,b\n", { prompt: "{a}" }, /in\.csv is empty/],
  ["no prompt", "in.csv", "a,b\n1,2\n", {}, /say with --prompt.*its columns are a, b/],
  [
    "a column that isn't there",
    "in.csv",
    "a,b\n1,2\n",
    { prompt: "{c}" },
    /row 1 has no column 'c'; it has a, b/,
  ],
  ["a lone brace", "in.csv", "a\n1\n", { prompt: "{a} }" }, /a brace stands alone/],
  ["a short row", "in.csv", "a,b\n1,2\n3\n", { prompt: "{a}" }, /in\.csv: .*line 3/],
  ["an open quote", "in.csv", 'a\n"1\n', { prompt: "{a}" }, /in\.csv: .*[Qq]uote/],
  ["a column twice", "in.csv", "a,a\n1,2\n", { prompt: "{a}" }, /the column 'a' is there twice/],
  ["Latin-1", "in.csv", Buffer.from("a\nM\xfcller\n", "latin1"), { prompt: "{a}" }, /it is not UTF-8/],
  ["UTF-16", "in.txt", Buffer.from("\ufeffhello\n", "utf16le"), {}, /line 1 is not UTF-8/],
  ["no JSON", "in.jsonl", '{"a":1}\n{oops\n', { prompt: "{a}" }, /line 2 is no JSON object/],
  [
    "an id twice",
    "in.csv",
    "a\n1\n1\n",
    { prompt: "{a}", idColumn: "a" },
    /row 2 has the id '1', which another/,
  ],
  ["no id", "in.csv", "a,b\n1,\n", { prompt: "{a}", idColumn: "b" }, /row 1 has no 'b'/],
  ["no model", "in.txt", "a\n", { asking: { model: null } }, /say with --model/],
  [
    "two endpoints",
    "in.jsonl",
    line("a") + line("b", { url: "/v1/embeddings" }),
    {},
    /line 2 asks \/v1\/embeddings/,
  ],
  ["no endpoint", "in.jsonl", line("a", { url: "/v1/x" }), {}, /line 1 has no url of a batch; it may be/],
  ["a line without a body", "in.jsonl", `${line("a")}{"custom_id":"b"}\n`, {}, /line 2: .*is missing/],
  ["a prompt for whole requests", "in.jsonl", line("a"), { prompt: "x" }, /leave out --prompt/],
  [
    "what an endpoint can't",
    "in.txt",
    "a\n",
    { endpoint: "/v1/embeddings", system: "x" },
    /knows no --system/,
  ],
])("%s is refused with its place and its cure", async (_, name, content, asked, message) => {
  await expect(survey(name, content, asked)).rejects.toMatchObject({
    name: "QuernError",
    message: expect.stringMatching(message),
  });
});

test("tells what there is, in one reading", async () => {
  const { ids, columns, endpoint } = await survey("in.jsonl", '\n{"a":1,"b":null}\n{"c":"x","a":{"y":2}}\n', {
    prompt: "{a}",
    endpoint: "/v1/embeddings",
  });
  expect([...ids]).toEqual([
    ["2", 0],
    ["3", 1],
  ]);
  expect({ columns, endpoint }).toEqual({ columns: ["a", "b", "c"], endpoint: "/v1/embeddings" });
});

test("the digest is that of what is asked", async () => {
  const digest = async (content: string, asked: Asked) => (await survey("in.csv", content, asked)).digest;
  const first = await digest("a,b\n1,2\n", { prompt: "{a}" });
  expect(await digest("b,a\r\nother,1\r\n", { prompt: "{a}" })).toBe(first);
  expect(await digest("a,b\n1,2\n", { prompt: "{b}" })).not.toBe(first);
  expect(await digest("a,b\n1,2\n", { prompt: "{a}", asking: { temperature: 0 } })).not.toBe(first);
});

test("batch lines stand as they are; --model is for those that name none", async () => {
  const named = line("a", { body: { model: "own", prompt: "x" }, extra: 1 });
  const lines: InputLine[] = [];
  for await (const read of readInputLines(await source("in.jsonl", named + line("b")))) lines.push(read);
  expect(lines[0]?.request).toBe(named.trimEnd());
  expect(JSON.parse(lines[1]?.request ?? "")).toMatchObject({ body: { model: "m", prompt: "x" } });
});

test("a TSV is a table, a prompt column needs no template, values that are no text are JSON", async () => {
  const requests = async (given: InputSource) => {
    const bodies: { model: string; messages: { content: string }[] }[] = [];
    for await (const { request } of readInputLines(given)) bodies.push(JSON.parse(request).body);
    return bodies.map(({ messages }) => messages[0]?.content);
  };
  expect(await requests(await source("in.tsv", "\ufeffprompt\tx\none, two\t1\n"))).toEqual(["one, two"]);
  const rows = await source("in.jsonl", '{"a":[1,true]}\n{"a":""}\n', { prompt: "<{a}>" });
  expect(await requests(rows)).toEqual(["<[1,true]>", "<>"]);
});

test("the chat and the responses are asked for the same, in words that they know", async () => {
  const asking = { maxTokens: 5, temperature: 0, schema: { type: "object" }, thinking: false };
  const requested = async (endpoint: Endpoint) => {
    const lines = readInputLines(await source("in.txt", "hi\n", { endpoint, system: "Be {line}", asking }));
    const { value } = await lines.next();
    const { body } = JSON.parse(value?.request ?? "");
    return parseEndpointRequest(endpoint, body, { drawSeed: () => 1 }).request;
  };
  const chat = await requested("/v1/chat/completions");
  expect(chat).toMatchObject({
    messages: [
      { role: "system", content: "Be hi" },
      { role: "user", content: "hi" },
    ],
    sampling: { temperature: 0 },
    maxTokens: 5,
    format: { type: "json_schema", schema: { type: "object" } },
    templateOptions: { enable_thinking: false },
  });
  expect(await requested("/v1/responses")).toEqual(chat);
});
