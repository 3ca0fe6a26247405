import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { WorkerOptions } from "./cluster.ts";
import { writeScriptedModel } from "./gguf/scripted-model.ts";

const CONTEXT_TOKENS = 16_384;
const TEXT = Array.from({ length: 40 }, (_, index) => `Line ${index + 1} of a tale without end.\n`).join("");

export interface EndlessModel extends AsyncDisposable {
  /** Its name in requests. */
  readonly model: string;
  /** What a worker needs to serve it. */
  readonly worker: WorkerOptions;
  /** What every answer is the beginning of. */
  readonly text: string;
}

/** A model that says the same over and over until it is stopped: for jobs that must still run when something happens. */
export async function writeEndlessModel(): Promise<EndlessModel> {
  const folder = await mkdtemp(join(tmpdir(), "quern-endless-"));
  const path = join(folder, "endless.gguf");
  await writeScriptedModel(path, { text: TEXT, ending: "repeat", contextLength: CONTEXT_TOKENS });
  return {
    model: "endless",
    worker: { model: path, env: { QUERN_CONTEXT_TOKENS: String(CONTEXT_TOKENS) } },
    text: TEXT.repeat(100),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
