import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readGgufHeader } from "@quern/shared/models/gguf-header";
import { writeLoraAdapter } from "@quern/testing/gguf/lora-adapter";
import { writeRandomModel } from "@quern/testing/gguf/random-model";
import { expect, test } from "vitest";
import { checkAdapters } from "./adapters.ts";

test("adapters that fit add up to their bytes", async () => {
  const folder = await mkdtemp(join(tmpdir(), "quern-adapters-"));
  try {
    const [model, adapter] = [join(folder, "model.gguf"), join(folder, "adapter.gguf")];
    await writeRandomModel(model);
    await writeLoraAdapter(adapter);
    const header = await readGgufHeader(model);
    // Two blocks, each with a 64 × 4 and a 4 × 64 matrix in F32.
    const bytes = 2 * 2 * 64 * 4 * 4;
    expect(await checkAdapters([{ path: adapter, scale: 1 }], header)).toBe(bytes);
    expect(
      await checkAdapters(
        [
          { path: adapter, scale: 1 },
          { path: adapter, scale: 0.5 },
        ],
        header,
      ),
    ).toBe(2 * bytes);
    expect(await checkAdapters([], header)).toBe(0);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
