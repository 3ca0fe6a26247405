import { once } from "node:events";
import { createReadStream } from "node:fs";
import http from "node:http";
import https from "node:https";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { QuernError } from "@quern/shared/contract/errors";
import { z } from "zod";
import { authorization, PATIENCE_MS, parseReply, type Server, withPatience } from "./call.ts";
import { refusal, unreachable } from "./server-faults.ts";

const fileSchema = z.object({ id: z.string() });

/** What is uploaded here is of no use for longer, and nobody else would remove it: OpenAI's highest. */
export const KEPT_SECONDS = 30 * 24 * 3_600;

const ROUTE = "/v1/files";
const FIELDS = {
  purpose: "batch",
  "expires_after[anchor]": "created_at",
  "expires_after[seconds]": String(KEPT_SECONDS),
};
const FILE_NAME = "requests.jsonl";

/** Streams a file to the server, as the input of a batch; never in memory. Resolves with its id. */
export async function uploadFile(server: Server, path: string, signal: AbortSignal): Promise<string> {
  const text = await withPatience({ signal, patienceMs: PATIENCE_MS }, () => sendForm(server, path, signal));
  return parseReply(server, ROUTE, fileSchema, text).id;
}

/** By `node:http`, since `fetch` keeps all that it has sent of a stream until the request ends. */
async function sendForm(server: Server, path: string, signal: AbortSignal): Promise<string> {
  const boundary = `quern-${crypto.randomUUID()}`;
  const url = new URL(`${server.url}${ROUTE}`);
  const request = (url.protocol === "https:" ? https : http).request(url, {
    method: "POST",
    headers: { "content-type": `multipart/form-data; boundary=${boundary}`, ...authorization(server) },
    signal,
  });
  // Refused before all was sent, its answer counts, and not that sending broke.
  const sending = pipeline(multipart(path, boundary), request).catch(() => {});
  try {
    const [reply] = (await once(request, "response")) as [http.IncomingMessage];
    const said = await text(reply);
    const { statusCode = 0, headers } = reply;
    if (statusCode < 300) return said;
    throw refusal(statusCode, headers["retry-after"] ?? null, said);
  } catch (error) {
    throw error instanceof QuernError ? error : unreachable(server, error);
  } finally {
    request.destroy();
    await sending;
  }
}

/** RFC 7578. */
async function* multipart(path: string, boundary: string): AsyncGenerator<Uint8Array, void, undefined> {
  const utf8 = new TextEncoder();
  const part = (disposition: string) =>
    utf8.encode(`--${boundary}\r\ncontent-disposition: form-data; ${disposition}\r\n\r\n`);
  for (const [name, value] of Object.entries(FIELDS)) {
    yield part(`name="${name}"`);
    yield utf8.encode(`${value}\r\n`);
  }
  yield part(`name="file"; filename="${FILE_NAME}"`);
  yield* createReadStream(path);
  yield utf8.encode(`\r\n--${boundary}--\r\n`);
}
