import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { defaultCatalogueFile, loadCatalogue } from "@quern/shared/models/catalogue";
import { type ModelServer, startModelServer } from "@quern/testing/gguf/model-server";
import { writeRandomModel } from "@quern/testing/gguf/random-model";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { listModels } from "./list-models.ts";
import { modelsCommand } from "./models-command.ts";
import { showProgress } from "./pull-progress.ts";

let server: ModelServer;
let folder: string;
let model: Buffer;
let output: string;

beforeEach(async () => {
  server = await startModelServer();
  folder = await mkdtemp(join(tmpdir(), "quern-models-"));
  const path = join(folder, "tiny.gguf");
  await writeRandomModel(path);
  model = await readFile(path);
  server.repositories.set("Qwen/M-GGUF", { siblings: [{ rfilename: "M-Q8_0.gguf" }] });
  server.files.set("/Qwen/M-GGUF/resolve/main/M-Q8_0.gguf", model);
  await writeFile(
    join(folder, "models.yaml"),
    `models:
  tiny: { source: tiny.gguf, slots: 2, contextTokens: 128 }
  remote:
    source: hf:Qwen/M-GGUF:Q8_0
    family: qwen3
    parameters: { total: 8e9, active: 2e9 }
    attention: { layers: 32, kvHeads: 8, headDim: 128 }
    sha256: ${createHash("sha256").update(model).digest("hex")}
  gone: { source: gone.gguf }
`,
  );
  output = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    output += text;
    return true;
  });
  vi.spyOn(console, "log").mockImplementation((line) => {
    output += `${line}\n`;
  });
});

afterEach(async () => {
  vi.restoreAllMocks();
  await server[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

test("list tells what is here before and after a pull", async () => {
  await run("list");
  const lines = () => output.split("\n");
  expect(lines()[0]).toMatch(/^MODEL +FAMILY +PARAMETERS +SIZE +HERE$/);
  expect(lines()[1]).toMatch(/^tiny +\d+\.\d kB +yes$/);
  expect(lines()[2]).toMatch(/^remote +qwen3 +8B A2B +≈ 8\.5 GB +no$/);

  output = "";
  await run("pull", "remote", "tiny");
  expect(output).toContain("remote: M-Q8_0.gguf 0% of");
  expect(output).toContain("remote: M-Q8_0.gguf 100% of");
  const path = join(folder, "cache/hf/Qwen/M-GGUF/M-Q8_0.gguf");
  expect(output).toContain(`remote: ${path}\ntiny: ${join(folder, "tiny.gguf")}\n`);
  expect((await readFile(path)).equals(model)).toBe(true);

  output = "";
  await run("list");
  expect(lines()[2]).toMatch(/^remote +qwen3 +8B A2B +\d+\.\d kB +yes$/);
});

test("a name that isn't known stops everything before the first byte", async () => {
  await expect(run("pull", "remote", "nope")).rejects.toMatchObject({
    code: "model_unknown",
    message: expect.stringContaining("tiny, remote, gone"),
  });
  expect(server.requests).toEqual([]);
});

test("what goes wrong rejects with its cure", async () => {
  await expect(run("pull", "gone")).rejects.toMatchObject({ code: "model_file_missing" });
  server.repositories.clear();
  await expect(run("pull", "remote")).rejects.toMatchObject({
    code: "download_failed",
    message: expect.stringContaining("404"),
  });
  await expect(run("pull")).rejects.toThrow(/model/);
});

test("SIGINT stops a pull, which goes on when asked again", async () => {
  server.faults.push({ kind: "silence", afterBytes: 65_000 });
  const errors = vi.spyOn(console, "error").mockImplementation(() => {});
  const pulled = run("pull", "remote");
  await vi.waitUntil(() => server.requests.length === 2 && output.includes("10%"));
  process.emit("SIGINT");
  await pulled;
  expect(errors).toHaveBeenCalledWith(expect.stringContaining("run the same command again"));
  expect(process.exitCode).toBe(130);
  process.exitCode = undefined;

  await run("pull", "remote");
  expect(server.requests.at(-1)?.range).toMatch(/^bytes=\d{5,}-$/);
});

test("on a terminal it is a bar", () => {
  const terminal = Object.assign(new PassThrough(), {
    isTTY: true,
    columns: 200,
    cursorTo() {},
    clearLine() {},
  });
  const progress = showProgress("m", terminal as unknown as NodeJS.WriteStream);
  progress.report({
    phase: "downloading",
    fileName: "m.gguf",
    part: 1,
    parts: 1,
    receivedBytes: 0,
    totalBytes: 4_000_000,
  });
  progress.report({
    phase: "downloading",
    fileName: "m.gguf",
    part: 1,
    parts: 1,
    receivedBytes: 1_000_000,
    totalBytes: 4_000_000,
  });
  progress.stop();
  const shown = String(terminal.read());
  expect(shown).toContain("m m.gguf [");
  expect(shown).toContain("25% | 1.0 MB of 4.0 MB");
});

test("the shipped catalogue's list is no wider than a terminal", async () => {
  process.stdout.write(await listModels(await loadCatalogue(defaultCatalogueFile()), join(folder, "cache")));
  expect(Math.max(...output.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(output).toMatch(/^qwen3-30b-a3b +qwen3 +30\.5B A3\.3B +18\.6 GB +no$/m);
});

test("a split model is one bar and one count of bytes", async () => {
  server.repositories.set("Qwen/M-GGUF", {
    siblings: [1, 2].map((part) => ({ rfilename: `S-Q4_0-0000${part}-of-00002.gguf`, size: model.length })),
  });
  for (const part of [1, 2])
    server.files.set(`/Qwen/M-GGUF/resolve/main/S-Q4_0-0000${part}-of-00002.gguf`, model);
  await run("pull", "hf:Qwen/M-GGUF:Q4_0");
  expect(output).toMatch(/M-Q4_0: S-Q4_0\.gguf \(part 1 of 2\) 0% of/);
  expect(output).toMatch(/M-Q4_0: S-Q4_0\.gguf \(part 2 of 2\) [5-9]0% of/);
  expect(output).not.toMatch(/\(part 2 of 2\) [0-4]?0% of/);
  expect(output).toMatch(/\(part 2 of 2\) 100% of/);
});

test("show tells a fact a line, also of another quantization", async () => {
  await run("show", "remote");
  expect(output).toMatch(/^parameters +8B A2B$/m);
  expect(output).toMatch(/^quantizations +Q8_0 ≈ 8\.5 GB, Q4_K_M ≈ 4\.9 GB/m);
  expect(output).toMatch(/^memory +10\.9 GiB, 2\.0 GiB of it for the slots$/m);
  expect(output).toMatch(/^good for +general \(best\): /m);
  output = "";
  await run("show", "remote:Q4_K_M");
  expect(output).toMatch(/^source +hf:Qwen\/M-GGUF:Q4_K_M$/m);
  await expect(run("show", "nope")).rejects.toMatchObject({ code: "model_unknown" });
});

test("recommend says what fits, why, and the command; as JSON everything it weighed", async () => {
  const flags = ["--task", "general", "--vram", "12", "--context", "4096", "--slots", "2"];
  await run("recommend", ...flags);
  expect(output).toContain("For general, 2 slots × 4,096 tokens, a GPU of 12.0 GiB:");
  expect(output).toMatch(/^1 +remote +8B A2B +Q6_K +≈ 8\.1 GiB +f16 +GPU$/m);
  expect(output).toContain("   npm start -- --model remote:Q6_K --slots 2 --context-tokens 4096");
  output = "";
  await run("recommend", ...flags, "--json");
  const { wish, candidates } = JSON.parse(output);
  expect(wish).toMatchObject({ purpose: "general", vramBytes: 12 * 1024 ** 3, slots: 2 });
  expect(candidates.map(({ quantization }: { quantization: string }) => quantization)).toEqual(
    expect.arrayContaining(["Q8_0", "Q4_K_M"]),
  );
});

test.each([
  [["--vram", "12"], /required option '--task/],
  [["--task", "cooking"], /Allowed choices are general, reasoning, maths, coding, multilingual/],
  [["--task", "coding", "--vram", "lots"], /must be a number of GiB/],
  [["--task", "coding", "--slots", "0"], /whole number from 1 to 256/],
])("recommend %j is refused", async (flags, message) => {
  await expect(run("recommend", ...flags)).rejects.toThrow(message);
});

async function run(...args: string[]): Promise<void> {
  const command = modelsCommand(() => ({
    modelsFile: join(folder, "models.yaml"),
    cacheDir: join(folder, "cache"),
    hfEndpoint: server.origin,
    hfToken: null,
  }));
  const silent = { writeErr() {} };
  command.exitOverride().configureOutput(silent);
  for (const subcommand of command.commands) subcommand.exitOverride().configureOutput(silent);
  await command.parseAsync(args, { from: "user" });
}
