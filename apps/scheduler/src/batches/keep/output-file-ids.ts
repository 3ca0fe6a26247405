import { createHash } from "node:crypto";

/**
 * The ids of a batch's files follow from its own, so whoever keeps it, and however often Redis forgets that, it writes the
 * same ones. They are uuidv7 ids of the batch's moment.
 */
export function outputFileIds(batchId: string): { outputFileId: string; errorFileId: string } {
  return { outputFileId: fileIdOf(batchId, "output"), errorFileId: fileIdOf(batchId, "errors") };
}

function fileIdOf(batchId: string, role: string): string {
  const moment = batchId.replace(/^batch_/, "").slice(0, "xxxxxxxx-xxxx-7".length);
  const drawn = createHash("sha256").update(`${batchId} ${role}`).digest("hex");
  // Of the first digit after the third dash, two bits are the variant (RFC 9562, 4.1).
  return `file-${moment}${drawn.slice(0, 3)}-8${drawn.slice(3, 6)}-${drawn.slice(6, 18)}`;
}
