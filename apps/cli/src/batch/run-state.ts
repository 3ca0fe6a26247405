import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { QuernError } from "@quern/shared/contract/errors";
import { z } from "zod";

/** Which requests of the input a batch has: those that had no answer then. */
const partSchema = z.object({
  /** The index of the first that was looked at. */
  from: z.int().nonnegative(),
  /** Of the first that found no room; null: the batch goes to the input's end. */
  next: z.int().positive().nullable(),
  requests: z.int().positive(),
});

const batchStateSchema = partSchema.extend({
  id: z.string(),
  /** Where it was submitted; null: to a private cluster (`--local`). */
  url: z.string().nullable(),
  /** It is over, and what there is of it stands in the files here. */
  collected: z.boolean(),
});

/** What a run leaves beside its output, so that the next one of the same command goes on. */
const runStateSchema = z.object({
  version: z.literal(2),
  /** Of the requests, as `surveyInput` tells it, and of the form of the output. */
  digest: z.string(),
  /** In the order of their submission; all but the last are collected. */
  batches: z.array(batchStateSchema),
  /** A batch that may have been submitted: sent again under the same key it is the same one. */
  submission: partSchema
    .extend({ key: z.string(), inputFileId: z.string(), url: z.string().nullable() })
    .nullable(),
});
export type RunState = z.infer<typeof runStateSchema>;
export type BatchState = z.infer<typeof batchStateSchema>;

export function newRunState(digest: string): RunState {
  return { version: 2, digest, batches: [], submission: null };
}

/** null: there is none. @throws QuernError `config_invalid` for a file that is none. */
export async function readRunState(path: string): Promise<RunState | null> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  if (text === null) return null;
  try {
    return runStateSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new QuernError(
      "config_invalid",
      `${path} is not what an earlier run left: --fresh starts over, or choose another -o`,
      { cause: error },
    );
  }
}

/** Whole or not at all. */
export async function writeRunState(path: string, state: RunState): Promise<void> {
  const part = `${path}.part`;
  try {
    await writeFile(part, `${JSON.stringify(state, null, 2)}\n`, { flush: true });
    await rename(part, path);
  } finally {
    await rm(part, { force: true });
  }
}
