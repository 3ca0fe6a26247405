import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeRandomModel } from "@quern/testing/gguf/random-model";
import { afterAll, beforeAll, expect, test, vi } from "vitest";

const MAIN = join(import.meta.dirname, "..", "main.ts");
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-models-fit-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

function fit(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [MAIN, "models", "fit", ...args], (_error, stdout, stderr) =>
      resolve({ code: child.exitCode, stdout, stderr }),
    );
  });
}

test("an alias: a table of what its worker would take", async () => {
  const { code, stdout } = await fit("tiny-qwen3", "--gpu", "cpu", "--slots", "2", "--kv-type", "f16");
  expect(code).toBe(0);
  expect(stdout.split("\n")).toEqual([
    "tiny-qwen3",
    "2 × 1,024 tokens, KV in f16",
    expect.stringMatching(/^ +RAM$/),
    expect.stringMatching(/^weights +1\.7 MiB$/),
    expect.stringMatching(/^KV +2\.5 MiB$/),
    expect.stringMatching(/^compute +\d+\.\d MiB$/),
    expect.stringMatching(/^needed +\d+\.\d MiB$/),
    expect.stringMatching(/^free +\S+ [GM]iB$/),
    expect.stringMatching(/^kept back +\S+ [GM]iB$/),
    expect.stringMatching(/^to spare +\S+ [GM]iB$/),
    "It fits.",
    "",
  ]);
});

test("a path, too large: exit code 1, and a change with which it does fit", async () => {
  const path = join(folder, "large.gguf");
  await writeRandomModel(path, { contextLength: 2 ** 24 });
  const size = ["--context-tokens", String(2 ** 24), "--gpu", "cpu"];
  // The proposal fills what is free to the last slot, of which other processes may take some before it is tried.
  const leaving = (count: string) => String(Math.max(1, Math.floor(Number(count) * 0.75)));
  await vi.waitFor(
    async () => {
      const { code, stdout, stderr } = await fit(path, "--slots", "256", ...size);
      expect(code).toBe(1);
      expect(stdout).toMatch(/to spare +-\d+\.\d GiB/);
      const [, slots = "", context = ""] =
        /^large does not fit\. It fits with --slots (\d+)(?: --context-tokens (\d+))?.* to spare$/.exec(
          stderr.trim(),
        ) ?? [];
      expect(slots).not.toBe("");
      const cured = context === "" ? size : ["--context-tokens", leaving(context), "--gpu", "cpu"];
      expect(await fit(path, "--slots", context === "" ? leaving(slots) : slots, ...cured)).toMatchObject({
        code: 0,
      });
    },
    { timeout: 30_000 },
  );
});

test("what keeps a worker from starting keeps this from planning, in one line", async () => {
  const missing = await fit(join(folder, "none.gguf"));
  expect(missing).toMatchObject({ code: 1, stdout: "" });
  expect(missing.stderr).toMatch(/^there is no model file .*none\.gguf: check the path.*\n$/);
});
