import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "@quern/testing/cluster";
import { freePort } from "@quern/testing/free-port";
import { runQuern, startQuern } from "@quern/testing/quern-process";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BatchServer } from "./batch-server.fixture.ts";

let folder: string;
let server: BatchServer;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-batch-usage-"));
  server = await new BatchServer().start();
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const batch = (...args: string[]) =>
  runQuern(["batch", ...args], { cwd: folder, env: { QUERN_URL: server.url } });
const put = (name: string, text: string) => writeFile(join(folder, name), text);

test.each<[string, string, string[], RegExp]>([
  ["no such file", "other.csv", [], /the input can't be read.*no such file/],
  ["what is wrong inside of it", "in.csv", ["--prompt", "{c}"], /row 1 has no column 'c'; it has a/],
  ["nothing to compare", "in.csv", ["--prompt", "{a}", "--compare", "b"], /no column 'b' to compare with/],
  ["no folder", "in.csv", ["--prompt", "{a}", "-o", "no/out.jsonl"], /there is no folder no/],
  ["a flag of --local", "in.csv", ["--data-dir", "x"], /--data-dir is for --local/],
  ["an unknown flag", "in.csv", ["--nonsense"], /unknown option '--nonsense'/],
  ["a temperature", "in.csv", ["--temperature", "9"], /a number from 0 to 2/],
])("%s: a line with the cure, nothing sent, exit code 2", async (_, name, args, message) => {
  await put("in.csv", "a\n1\n");
  const { code, output } = await batch("run", name, "-o", "out.jsonl", ...args);
  expect(output).toMatch(message);
  expect(code).toBe(2);
  expect(server.batches).toEqual([]);
  expect(await readdir(folder)).toEqual(["in.csv"]);
});

test("several models: one has to be chosen", async () => {
  server.models = ["a", "b"];
  await put("in.txt", "one\n");
  expect(await batch("run", "in.txt", "-o", "o.jsonl")).toEqual({
    code: 2,
    output: "say with --model which one is asked: a, b\n",
  });
});

test("no server: who answers nobody's call is named, with what to do", async () => {
  const url = `http://127.0.0.1:${await freePort()}`;
  const { code, output } = await batch("list", "--url", url);
  expect(output).toContain(`no Quern answers at ${url} (ECONNREFUSED): start one with 'npm start'`);
  expect(code).toBe(1);
});

test("an output of something else is not overwritten, but with --fresh", async () => {
  await put("in.txt", "one\n");
  await put("out.jsonl", "precious\n");
  const refused = await batch("run", "in.txt", "-o", "out.jsonl");
  expect(refused).toMatchObject({ code: 2, output: expect.stringContaining("--fresh overwrites it") });
  expect((await batch("run", "in.txt", "-o", "out.jsonl", "--fresh")).code).toBe(0);

  await put("in.txt", "two\n");
  const other = await batch("run", "in.txt", "-o", "out.jsonl");
  expect(other).toMatchObject({ code: 2, output: expect.stringContaining("belongs to another input") });
  expect((await batch("run", "in.txt", "-o", "out.jsonl", "--fresh")).code).toBe(0);
  expect(server.batches).toHaveLength(2);
});

test("status, list, follow and cancel tell of batches, whoever submitted them", async () => {
  await put("in.txt", "one\ntwo\n");
  expect((await batch("run", "in.txt", "-o", "out.jsonl")).code).toBe(0);
  const status = await batch("status", "batch_1");
  expect(status.output).toMatch(
    /^batch +batch_1\nstatus +completed\nmodel +tiny-qwen3 \(\/v1\/chat\/completions\)\nrequests +2 of 2\n/,
  );
  expect((await batch("list")).output).toMatch(
    /^BATCH +STATUS +DONE +FAILED +MODEL +CREATED\nbatch_1 +completed +2 of 2 +0 /,
  );
  expect(JSON.parse((await batch("status", "batch_1", "--json")).output)).toMatchObject({ id: "batch_1" });

  const followed = await batch("follow", "batch_1", "-o", "copy.jsonl");
  expect(followed).toMatchObject({ code: 0, output: expect.stringContaining("Written: copy.jsonl") });
  expect(await readFile(join(folder, "copy.jsonl"))).toEqual(await readFile(join(folder, "out.jsonl")));

  server.held = true;
  const other = startQuern(["batch", "run", "in.txt", "-o", "other.jsonl"], {
    cwd: folder,
    env: { QUERN_URL: server.url },
  });
  await until(async () => other.output().includes("in_progress"));
  expect((await batch("cancel", "batch_2")).output).toMatch(/^status +cancelled$/m);
  expect(await other.exited).toBe(1);
  expect(await batch("status", "batch_7")).toMatchObject({
    code: 1,
    output: expect.stringContaining("the server says 404: there is no /v1/batches/batch_7"),
  });
});
