import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, startCluster, until } from "@quern/testing/cluster";
import { type QuernProcess, startQuern } from "@quern/testing/quern-process";
import { afterEach, beforeEach, expect, test } from "vitest";

// Promise: a file of rows becomes a file of answers with one command, on a cluster or on this machine alone, and the same command
// goes on after it was stopped.

const ROOT = join(import.meta.dirname, "..");
const REVIEWS = 60;
const ASKED = [
  ...["--prompt", "Classify the sentiment of this review as positive or negative: {review}"],
  ...["--model", "tiny-qwen3", "--temperature", "0", "--format", "csv", "--compare", "label"],
];

let folder: string;
let started: QuernProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-batch-cli-"));
  const reviews = await readFile(join(ROOT, "models", "reviews.jsonl"), "utf8");
  await writeFile(join(folder, "reviews.jsonl"), reviews.split("\n").slice(0, REVIEWS).join("\n"));
});
afterEach(async () => {
  for (const { child } of started) child.kill("SIGKILL");
  for (const { exited } of started) await exited;
  started = [];
  await rm(folder, { recursive: true, force: true });
});

/** `quern batch …` in the folder. */
function quernBatch(...args: string[]): QuernProcess {
  const quern = startQuern(["batch", ...args], { cwd: folder });
  started.push(quern);
  return quern;
}

/** Every row is there once, in its order, with an answer; all but a few are right. */
async function expectLabelled(output: string): Promise<void> {
  expect(output).toContain(`${REVIEWS} of ${REVIEWS} requests are answered`);
  const equal = Number(/Equal to the column 'label': (\d+) of 60 answers/.exec(output)?.[1]);
  expect(equal).toBeGreaterThanOrEqual(58);
  const rows = (await readFile(join(folder, "labelled.csv"), "utf8")).trimEnd().split("\n");
  expect(rows[0]).toBe("id,review,label,answer");
  const ids = rows.slice(1).map((row) => row.split(",")[0]);
  expect(ids).toEqual(
    Array.from({ length: REVIEWS }, (_, index) => `r${String(index + 1).padStart(4, "0")}`),
  );
  expect(rows.slice(1).every((row) => /,(positive|negative),(positive|negative)$/.test(row))).toBe(true);
}

async function startWithFiles(): Promise<Cluster> {
  return startCluster({ env: { QUERN_FILES: join(folder, "files") } });
}

test("on a cluster, left with Ctrl-C and come back to", async () => {
  await using cluster = await startWithFiles();
  const args = ["run", "reviews.jsonl", "-o", "labelled.csv", "--url", cluster.url, ...ASKED];
  const first = quernBatch(...args);
  await until(async () => first.output().includes("is submitted"));
  first.child.kill("SIGINT");
  expect(await first.exited).toBe(130);
  expect(first.output()).toMatch(/Detached: batch batch_\S+ runs on\./);

  const second = quernBatch(...args);
  expect(await second.exited, second.output()).toBe(0);
  await expectLabelled(second.output());

  const list = quernBatch("list", "--url", cluster.url);
  expect(await list.exited).toBe(0);
  expect(list.output().match(/^batch_\S+ +completed +60 of 60 +0 +tiny-qwen3 /gm)).toHaveLength(1);
});

test("on this machine alone, stopped in between; nothing is left behind", async () => {
  const args = [
    "run",
    "reviews.jsonl",
    "-o",
    "labelled.csv",
    "--local",
    "--threads",
    "1",
    "--slots",
    "2",
    ...ASKED,
  ];
  const first = quernBatch(...args);
  await until(async () => first.output().includes("is submitted"));
  first.child.kill("SIGINT");
  expect(await first.exited).toBe(130);
  expect(first.output()).toContain("nothing runs on");
  expect(await readdir(folder)).toContain("labelled.csv.quern.cluster");

  const second = quernBatch(...args);
  expect(await second.exited, second.output()).toBe(0);
  await expectLabelled(second.output());
  expect((await readdir(folder)).sort()).toEqual([
    "labelled.csv",
    "labelled.csv.quern.answers.jsonl",
    "labelled.csv.quern.json",
    "reviews.jsonl",
  ]);
});
