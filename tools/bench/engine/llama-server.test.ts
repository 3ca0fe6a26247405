import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startLlamaServer } from "./llama-server.ts";

// What goes wrong before a server answers. That one answers is seen where there is one: `--llama-server`.

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-bench-"));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

function start(binary: string, stop = new AbortController().signal) {
  const modelPath = join(folder, "model.gguf");
  return startLlamaServer(
    { binary, modelPath, slots: 1, contextTokens: 256, threads: 1, promptCache: "off" },
    stop,
  );
}

test("no such binary: which one, and what the option takes", async () => {
  await expect(start("/no/llama-server")).rejects.toMatchObject({
    code: "config_invalid",
    message: expect.stringMatching(/can't run \/no\/llama-server: .*ENOENT.*--llama-server/),
  });
});

test("one that ends at once: what it said", async () => {
  // Node, too, has a version, and then doesn't know these options.
  await expect(start(process.execPath)).rejects.toMatchObject({
    code: "model_load_failed",
    message: expect.stringContaining("bad option: --model"),
  });
});

test("one that never gets ready is killed when it must stop", async () => {
  const [binary, pidFile] = [join(folder, "never-ready"), join(folder, "pid")];
  const script = `#!/bin/sh\n[ "$1" = --version ] && exit\necho $$ > ${pidFile}\nexec sleep 3600\n`;
  await writeFile(binary, script, { mode: 0o755 });
  const stop = new AbortController();
  const starting = start(binary, stop.signal);
  const ended = expect(starting).rejects.toMatchObject({ name: "AbortError" });
  await expect.poll(() => existsSync(pidFile) && readFileSync(pidFile, "utf8").trim()).toMatch(/^\d+$/);
  const pid = Number(readFileSync(pidFile, "utf8"));
  stop.abort();
  await ended;
  expect(() => process.kill(pid, 0)).toThrow("ESRCH");
});

test("what is stopped already starts nothing", async () => {
  await expect(start(process.execPath, AbortSignal.abort())).rejects.toThrow();
});
