import { z } from "zod";

/** A piece of a growing file, of which the first `bytes` count (`files/file-store.ts`). */
const segmentSchema = z.object({ name: z.string(), bytes: z.int().nonnegative() });

/**
 * How far the files of a batch that is not over are, as its keeper records it (`saveCollected`). The recorded bytes end with a whole line and
 * never change, whoever keeps the batch: a position in them holds for the finished files too. The ids are those that
 * the finished files will have, and the keys under which their segments are.
 */
export const collectedSchema = z.looseObject({
  outputFileId: z.string(),
  output: z.array(segmentSchema),
  errorFileId: z.string(),
  errors: z.array(segmentSchema),
});
export type Collected = z.infer<typeof collectedSchema>;
