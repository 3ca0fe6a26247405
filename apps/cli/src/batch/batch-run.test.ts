import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "@quern/testing/cluster";
import { type QuernProcess, runQuern, startQuern } from "@quern/testing/quern-process";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BatchServer } from "./batch-server.fixture.ts";

let folder: string;
let server: BatchServer;
let started: QuernProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-batch-"));
  server = await new BatchServer().start();
});
afterEach(async () => {
  for (const { child, exited } of started) {
    child.kill("SIGKILL");
    await exited;
  }
  started = [];
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const place = () => ({ cwd: folder, env: { QUERN_URL: server.url } });
const run = (...args: string[]) => runQuern(["batch", "run", ...args], place());
const put = (name: string, text: string) => writeFile(join(folder, name), text);
const read = (name: string) => readFile(join(folder, name), "utf8");
const idsOf = async (name: string) => (await linesOf(name)).map(({ custom_id }) => custom_id);
const linesOf = async (name: string) =>
  (await read(name))
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { custom_id: string; error: { code: string } | null });

function start(...args: string[]): QuernProcess {
  const quern = startQuern(["batch", "run", ...args], place());
  started.push(quern);
  return quern;
}

const CSV = 'review,label\n"Good, very good",positive\nBad,negative\n"Two\nlines",positive\nMeh,negative\n';
const BATCH_LINES = ["a", "b", "c", "d"]
  .map((id) => ({
    custom_id: id,
    method: "POST",
    url: "/v1/chat/completions",
    body: { model: "tiny-qwen3", messages: [{ role: "user", content: `ask ${id}` }] },
  }))
  .map((line) => `${JSON.stringify(line)}\n`)
  .join("");

test("batch lines go up as they are, and output lines come back as they are", async () => {
  await put("in.jsonl", `\uFEFF${BATCH_LINES.replaceAll("\n", "\r\n")}`);
  const { code, output } = await run("in.jsonl", "-o", "out.jsonl");
  expect(output).toContain("4 of 4 requests are answered; it took 12 s.");
  expect(output).toContain("Tokens: 40 in (16 cached), 8 out.");
  expect(output).toContain("Answers: out.jsonl");
  expect(code).toBe(0);
  expect(server.files.get("file-1")?.toString()).toBe(BATCH_LINES);
  expect(await read("out.jsonl")).toBe(server.files.get("file-2")?.toString());
  expect((await readdir(folder)).sort()).toEqual(["in.jsonl", "out.jsonl", "out.jsonl.quern.json"]);
});

test("rows become requests by a template, and a CSV comes back in the input's order", async () => {
  server.answer = ({ body }) => ({
    content: body.messages?.at(-1)?.content.includes("Bad") ? "negative" : 'positive, "sure"\n',
  });
  await put("in.csv", CSV);
  await put("schema.json", '{"type":"object"}');
  const { code, output } = await run(
    ..."in.csv -o out.csv --format csv --max-tokens 9 --temperature 0 --no-thinking --schema schema.json".split(
      " ",
    ),
    ...["--prompt", "{{x}} {review}!", "--system", "Be brief about {label}", "--compare", "label"],
  );
  expect(output).toContain("Equal to the column 'label': 1 of 4 answers (25.0%).");
  expect(code).toBe(0);
  expect(server.linesOf(server.batches[0])[2]).toEqual({
    custom_id: "3",
    method: "POST",
    url: "/v1/chat/completions",
    body: {
      model: "tiny-qwen3",
      messages: [
        { role: "system", content: "Be brief about positive" },
        { role: "user", content: "{x} Two\nlines!" },
      ],
      temperature: 0,
      max_tokens: 9,
      response_format: {
        type: "json_schema",
        json_schema: { name: "answer", strict: true, schema: { type: "object" } },
      },
      chat_template_kwargs: { enable_thinking: false },
    },
  });
  expect(await read("out.csv")).toBe(
    'review,label,answer\n"Good, very good",positive,"positive, ""sure""\n"\nBad,negative,negative\n' +
      '"Two\nlines",positive,"positive, ""sure""\n"\nMeh,negative,"positive, ""sure""\n"\n',
  );
});

test("a plain text is a prompt a line, and its answers are lines in the same order", async () => {
  await put("in.txt", "one\n\ntwo\nthree");
  server.answer = ({ custom_id, body }) => ({ content: `${custom_id}: ${body.prompt}\nand so on` });
  const { code } = await run(..."in.txt -o out.txt --format text --endpoint /v1/completions".split(" "));
  expect(code).toBe(0);
  expect(await read("out.txt")).toBe("1: one and so on\n3: two and so on\n4: three and so on\n");
});

test("what failed stands in a file of its own, and the same command asks only for that again", async () => {
  await put("in.jsonl", '{"id":"x","q":"one"}\n{"id":"y","q":"two"}\n{"id":"z","q":"three"}\n');
  const args = ["in.jsonl", "-o", "out.jsonl", "--prompt", "{q}", "--id-column", "id"];
  server.answer = ({ custom_id }) => (custom_id === "y" ? { error: "engine_crashed" } : { content: "fine" });
  const first = await run(...args);
  expect(first.output).toContain("Without an answer: 1 (1 × engine_crashed), see out.jsonl.errors.jsonl.");
  expect(first.code).toBe(1);
  expect(await idsOf("out.jsonl")).toEqual(["x", "z"]);
  expect(await linesOf("out.jsonl.errors.jsonl")).toMatchObject([
    { custom_id: "y", error: { code: "engine_crashed" } },
  ]);

  server.answer = () => ({ content: "at last" });
  const second = await run(...args);
  expect(second.code).toBe(0);
  expect(server.linesOf(server.batches[1]).map(({ custom_id }) => custom_id)).toEqual(["y"]);
  expect((await idsOf("out.jsonl")).sort()).toEqual(["x", "y", "z"]);
  expect((await readdir(folder)).sort()).toEqual(["in.jsonl", "out.jsonl", "out.jsonl.quern.json"]);

  const before = server.requests.length;
  const third = await run(...args, "--model", "tiny-qwen3");
  expect(third.output).toContain("3 of 3 requests are answered.");
  expect(third.code).toBe(0);
  expect(server.requests.length).toBe(before);
});

test("Ctrl-C detaches, and the same command attaches again", async () => {
  await put("in.txt", "one\ntwo\nthree\nfour\n");
  server.held = true;
  const first = start("in.txt", "-o", "out.csv", "--format", "csv");
  await until(async () => first.output().includes("in_progress 50%"));
  expect(first.output()).toMatch(
    /in_progress 50% \(2 of 4\), 12\.3 lines\/s, 456 tok\/s, 3 min to 5 min left/,
  );
  first.child.kill("SIGINT");
  expect(await first.exited).toBe(130);
  expect(first.output()).toContain("Detached: batch batch_1 runs on.");
  expect(first.output()).toContain("quern batch cancel batch_1");

  const second = start("in.txt", "-o", "out.csv", "--format", "csv");
  await until(async () => second.output().includes("following it"));
  server.held = false;
  expect(await second.exited).toBe(0);
  expect(server.batches).toHaveLength(1);
  expect(await read("out.csv")).toBe(
    "line,answer\none,re: one\ntwo,re: two\nthree,re: three\nfour,re: four\n",
  );
});

test("a run that is killed hard is gone on with", async () => {
  await put("in.txt", "one\ntwo\n");
  server.held = true;
  const first = start("in.txt", "-o", "out.jsonl");
  await until(async () => first.output().includes("in_progress"));
  first.child.kill("SIGKILL");
  await first.exited;
  server.held = false;
  const { code, output } = await run("in.txt", "-o", "out.jsonl");
  expect(output).toContain("2 of 2 requests are answered");
  expect(code).toBe(0);
  expect(server.batches).toHaveLength(1);
});

const NUMBERS = "one\ntwo\nthree\nfour\nfive\n";
const idsIn = (batch: number) => server.linesOf(server.batches[batch]).map(({ custom_id }) => custom_id);

test("what is too much for one batch becomes several, one after the other", async () => {
  await put("in.txt", NUMBERS);
  server.answer = ({ custom_id }) => (custom_id === "2" ? { error: "engine_crashed" } : { content: "fine" });
  const first = await run(..."in.txt -o out.jsonl --batch-lines 2".split(" "));
  expect(first.output).toContain(
    "Batch batch_1 is submitted (2 requests; the other 3 follow when it is done).",
  );
  expect(first.output).toContain("Batch batch_3 is submitted (1 requests).");
  expect(first.output).toContain("4 of 5 requests are answered; it took 36 s.");
  expect(first.code).toBe(1);
  expect([0, 1, 2].map(idsIn)).toEqual([["1", "2"], ["3", "4"], ["5"]]);

  server.answer = () => ({ content: "at last" });
  expect((await run(..."in.txt -o out.jsonl --batch-lines 2".split(" "))).code).toBe(0);
  expect(server.batches).toHaveLength(4);
  expect(idsIn(3)).toEqual(["2"]);
  expect((await idsOf("out.jsonl")).sort()).toEqual(["1", "2", "3", "4", "5"]);
});

test("a run that is left in the middle of several batches goes on with the rest", async () => {
  await put("in.txt", NUMBERS);
  server.held = true;
  const args = "in.txt -o out.jsonl --batch-lines 2".split(" ");
  const first = start(...args);
  await until(async () => first.output().includes("in_progress"));
  first.child.kill("SIGINT");
  await first.exited;
  expect(first.output()).toContain("the rest    is submitted by the same command, when it is done");

  const second = start(...args);
  await until(async () => second.output().includes("following it"));
  server.held = false;
  expect(await second.exited, second.output()).toBe(0);
  expect([0, 1, 2].map(idsIn)).toEqual([["1", "2"], ["3", "4"], ["5"]]);
  expect(await idsOf("out.jsonl")).toEqual(["1", "2", "3", "4", "5"]);
});

test("who cancels one of several batches gets no further one until asked", async () => {
  await put("in.txt", NUMBERS);
  server.held = true;
  const first = start(..."in.txt -o out.jsonl --batch-lines 2".split(" "));
  await until(async () => first.output().includes("in_progress"));
  for (const batch of server.batches) server.finish(batch, "cancelled");
  expect(await first.exited).toBe(1);
  expect(server.batches).toHaveLength(1);
  expect(first.output()).toContain("Without an answer: 4");
});

test("what is wrong with the second of several batches is told in places of the input", async () => {
  await put("in.txt", NUMBERS);
  server.held = true;
  const quern = start(..."in.txt -o out.jsonl --batch-lines 3".split(" "));
  await until(async () => quern.output().includes("in_progress"));
  server.faults = [{ code: "model_not_found", message: "There is no model x.", param: null, line: 2 }];
  server.held = false;
  expect(await quern.exited).toBe(2);
  expect(quern.output()).toContain(
    "refused a part of in.txt; nothing of it was run:\n  line 5: There is no model x.",
  );
  expect(await idsOf("out.jsonl")).toEqual(["1", "2", "3"]);
});

test("a batch that was cancelled meanwhile keeps what it has, and the rest is asked for again", async () => {
  await put("in.txt", "one\ntwo\nthree\nfour\n");
  server.held = true;
  const first = start("in.txt", "-o", "out.jsonl");
  await until(async () => first.output().includes("in_progress"));
  for (const batch of server.batches) server.finish(batch, "cancelled");
  expect(await first.exited).toBe(1);
  expect(first.output()).toContain("Batch batch_1 was cancelled.");
  expect(first.output()).toContain("Without an answer: 2 (2 × batch_cancelled)");

  server.held = false;
  const { code, output } = await run("in.txt", "-o", "out.jsonl");
  expect(output).toContain("2 requests have their answer: submitting the other 2.");
  expect(code).toBe(0);
  expect((await idsOf("out.jsonl")).sort()).toEqual(["1", "2", "3", "4"]);
});

test("a gateway that dies and comes back is not noticed but in a line; a broken download goes on", async () => {
  await put("in.txt", "one\ntwo\nthree\n");
  server.held = true;
  server.breaksDownload = true;
  const quern = start("in.txt", "-o", "out.jsonl");
  await until(async () => quern.output().includes("in_progress"));
  await server.stop();
  await until(async () => quern.output().includes("The connection broke: reconnecting"));
  await server.start();
  server.held = false;
  expect(await quern.exited).toBe(0);
  expect(await idsOf("out.jsonl")).toEqual(["1", "2", "3"]);
  expect(server.breaksDownload).toBe(false);
});

test("what the server finds wrong is told in places of the input", async () => {
  await put("in.txt", "one\n\ntwo\n");
  server.faults = [{ code: "model_not_found", message: "There is no model x.", param: null, line: 2 }];
  const { code, output } = await run("in.txt", "-o", "out.jsonl");
  expect(output).toContain("nothing of it was run:\n  line 3: There is no model x.\n");
  expect(code).toBe(2);
  expect(await readdir(folder)).toEqual(["in.txt"]);
});

test("the API key is sent, and one that is missing has its cure", async () => {
  server.apiKey = "sk-quern-test";
  await put("in.txt", "one\n");
  const refused = await run("in.txt", "-o", "out.jsonl");
  expect(refused).toMatchObject({ code: 1, output: expect.stringContaining("QUERN_API_KEY") });
  const env = { QUERN_URL: server.url, QUERN_API_KEY: server.apiKey };
  const accepted = await runQuern(["batch", "run", "in.txt", "-o", "out.jsonl"], { cwd: folder, env });
  expect(accepted.code).toBe(0);
});
