import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AnswerIndex } from "./answer-index.ts";
import { answerText } from "./answer-text.ts";
import { mergeResults } from "./merge-results.ts";
import { isAnswer } from "./result-line.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-answers-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const ids = new Map(["a", "b", "c"].map((id, index) => [id, index]));
const line = (custom_id: string, content: string, status_code = 200) =>
  JSON.stringify({
    custom_id,
    response: { status_code, body: { choices: [{ message: { content } }] } },
    error: null,
  });

async function file(name: string, ...lines: string[]): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, lines.join("\n"));
  return path;
}

test("merging keeps each request's first answer, and nothing that is none", async () => {
  const target = await file("out", line("b", "first"), '{"custom_id":"a","respon');
  const fresh = await file(
    "new",
    line("b", "second"),
    line("c", "refused", 400),
    line("stranger", "?"),
    line("a", "ä €"),
    line("a", "again"),
  );
  const merge = { target, ids, signal: new AbortController().signal };
  const isWanted = (_: number, result: Parameters<typeof isAnswer>[0]) => isAnswer(result);
  expect(await mergeResults({ ...merge, sources: [target, fresh], isWanted })).toBe(2);
  expect(await readFile(target, "utf8")).toBe(`${line("b", "first")}\n${line("a", "ä €")}\n`);

  const answers = await AnswerIndex.of(target, ids);
  expect(answers.count).toBe(2);
  await using reader = await answers.open();
  const texts = await Promise.all(
    [0, 1, 2].map(async (index) => {
      const result = await reader.read(index);
      return result === null ? null : answerText("/v1/chat/completions", result);
    }),
  );
  expect(texts).toEqual(["ä €", "first", null]);

  expect(await mergeResults({ ...merge, sources: [target], isWanted: () => false })).toBe(0);
  expect(existsSync(target)).toBe(false);
});

test("a merge that is stopped changes nothing and leaves nothing", async () => {
  const target = await file("out", line("b", "first"));
  const stopped = { target, sources: [target], ids, isWanted: () => true, signal: AbortSignal.abort() };
  await expect(mergeResults(stopped)).rejects.toThrow();
  expect(await readFile(target, "utf8")).toBe(line("b", "first"));
  expect(await readdir(folder)).toEqual(["out"]);
});

test.each([
  [
    "/v1/chat/completions",
    { choices: [{ message: { content: null, tool_calls: [{ id: 1 }] } }] },
    '[{"id":1}]',
  ],
  ["/v1/chat/completions", { choices: [{ message: { content: null } }] }, ""],
  ["/v1/chat/completions", { nothing: true }, null],
  ["/v1/completions", { choices: [{ text: "hi" }, { text: "ho" }] }, "hi"],
  [
    "/v1/responses",
    {
      output: [
        { type: "reasoning", content: [{ type: "reasoning_text", text: "hm" }] },
        {
          type: "message",
          content: [
            { type: "output_text", text: "hi" },
            { type: "output_text", text: "!" },
          ],
        },
      ],
    },
    "hi!",
  ],
  [
    "/v1/responses",
    { output: [{ type: "function_call", name: "f" }] },
    '[{"type":"function_call","name":"f"}]',
  ],
  ["/v1/embeddings", { data: [{ embedding: [0.5, 1] }] }, "[0.5,1]"],
] as const)("an answer of %s as people read it: %j", (endpoint, body, text) => {
  const result = { custom_id: "a", response: { status_code: 200, body }, error: null };
  expect(answerText(endpoint, result)).toBe(text);
});
