import { execFile } from "node:child_process";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..", "..");
const script = join(root, "deploy", "without-gpu-binaries.mjs");
let directory = "";

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "quern-lock-"));
});
afterEach(() => rm(directory, { recursive: true }));

test("takes the CUDA and Vulkan binaries out of the real lockfile, and nothing else", async () => {
  const path = join(directory, "package-lock.json");
  await copyFile(join(root, "package-lock.json"), path);
  const before = Object.keys(JSON.parse(await readFile(path, "utf8")).packages);
  await run(process.execPath, [script, path]);
  const lock = JSON.parse(await readFile(path, "utf8"));

  const removed = before.filter((name) => !(name in lock.packages));
  expect(removed).toEqual(
    expect.arrayContaining([
      "node_modules/@node-llama-cpp/linux-x64-cuda",
      "node_modules/@node-llama-cpp/linux-x64-cuda-ext",
      "node_modules/@node-llama-cpp/linux-x64-vulkan",
    ]),
  );
  expect(removed.filter((name) => !/@node-llama-cpp\/.*(cuda|vulkan)/.test(name))).toEqual([]);
  expect(lock.packages).toHaveProperty("node_modules/@node-llama-cpp/linux-x64");
  const wanted = lock.packages["node_modules/node-llama-cpp"].optionalDependencies;
  expect(Object.keys(wanted).filter((name) => /cuda|vulkan/.test(name))).toEqual([]);
});

test("fails when there is nothing to take out: the packages have other names now", async () => {
  const path = join(directory, "package-lock.json");
  await writeFile(path, JSON.stringify({ packages: {} }));
  await expect(run(process.execPath, [script, path])).rejects.toThrow("locks no GPU binaries");
});
