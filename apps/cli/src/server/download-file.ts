import { open } from "node:fs/promises";
import { QuernError } from "@quern/shared/contract/errors";
import { z } from "zod";
import { callForJson, callServer, PATIENCE_MS, type Server } from "./call.ts";
import { unreachable } from "./server-faults.ts";

const fileSchema = z.object({ bytes: z.int() });

/** Broken connections in a row that brought nothing. */
const MAX_FRUITLESS_TRIES = 20;

/**
 * Streams a file of the server to `path`, which is written anew; a broken connection goes on where it stopped.
 * @throws QuernError `server_refused` when the server does not have it.
 */
export async function downloadFile(
  server: Server,
  fileId: string,
  path: string,
  signal: AbortSignal,
): Promise<void> {
  const route = `/v1/files/${encodeURIComponent(fileId)}`;
  const { bytes } = await callForJson(server, route, fileSchema, { signal, patienceMs: PATIENCE_MS });
  await using file = await open(path, "w");
  let received = 0;
  for (let fruitless = 0; received < bytes; fruitless += 1) {
    const headers: Record<string, string> = received === 0 ? {} : { range: `bytes=${received}-` };
    const reply = await callServer(server, `${route}/content`, { headers, signal, patienceMs: PATIENCE_MS });
    // Who does not know ranges begins at the beginning.
    if (reply.status !== 206) received = 0;
    try {
      for await (const chunk of reply.body ?? []) {
        await file.write(chunk, 0, chunk.length, received);
        received += chunk.length;
        fruitless = 0;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (fruitless >= MAX_FRUITLESS_TRIES) throw unreachable(server, error);
    }
  }
  if (received !== bytes) {
    throw new QuernError(
      "server_refused",
      `file ${fileId} has ${bytes} bytes, and ${received} came: try again`,
    );
  }
  await file.sync();
}
