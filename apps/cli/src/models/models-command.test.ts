import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { type ModelServer, startModelServer } from "@quern/testing/gguf/model-server";
import { writeRandomModel } from "@quern/testing/gguf/random-model";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
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
  expect(lines()[0]).toMatch(/^MODEL +CONTEXT × SLOTS +SIZE +HERE +SOURCE$/);
  expect(lines()[1]).toMatch(/^tiny +128 × 2 +\d+\.\d kB +yes +\S*tiny\.gguf$/);
  expect(lines()[2]).toMatch(/^remote +4096 × 4 +no +hf:Qwen\/M-GGUF:Q8_0$/);

  output = "";
  await run("pull", "remote", "tiny");
  expect(output).toContain("remote: M-Q8_0.gguf 0% of");
  expect(output).toContain("remote: M-Q8_0.gguf 100% of");
  const path = join(folder, "cache/hf/Qwen/M-GGUF/M-Q8_0.gguf");
  expect(output).toContain(`remote: ${path}\ntiny: ${join(folder, "tiny.gguf")}\n`);
  expect((await readFile(path)).equals(model)).toBe(true);

  output = "";
  await run("list");
  expect(lines()[2]).toMatch(/^remote +4096 × 4 +\d+\.\d kB +yes +hf:/);
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
  progress.report({ phase: "downloading", fileName: "m.gguf", receivedBytes: 0, totalBytes: 4_000_000 });
  progress.report({
    phase: "downloading",
    fileName: "m.gguf",
    receivedBytes: 1_000_000,
    totalBytes: 4_000_000,
  });
  progress.stop();
  const shown = String(terminal.read());
  expect(shown).toContain("m m.gguf [");
  expect(shown).toContain("25% | 1.0 MB of 4.0 MB");
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
