import { request } from "node:http";

/** What one hostile request got. */
export interface HostileReply {
  /** null: there was no reply. */
  status: number | null;
  /** The error code of the body, or of the connection; null: an answer. `unfinished`: it was given up at the end. */
  code: string | null;
  tookMs: number;
}

export interface HostileSender {
  /** Resolves when the first request has ended, however it did. */
  readonly firstEnded: Promise<void>;
  /** Resolves when all lanes have stopped, which they do on `stop`. */
  readonly replies: Promise<HostileReply[]>;
}

/** Keeps `atOnce` requests under way, each followed by the next one at once, until `stop`. Never rejects. */
export function keepSending(
  url: string,
  { body, atOnce }: { body: Buffer; atOnce: number },
  stop: AbortSignal,
): HostileSender {
  const replies: HostileReply[] = [];
  const { promise: firstEnded, resolve } = Promise.withResolvers<void>();
  const lane = async () => {
    while (!stop.aborted) {
      replies.push(await sendOnce(url, body, stop));
      resolve();
    }
  };
  const lanes = Promise.all(Array.from({ length: atOnce }, lane));
  return { firstEnded, replies: lanes.then(() => replies) };
}

/** By `node:http`, which hands the buffer to the socket as it is: fetch copies it first. */
function sendOnce(url: string, body: Buffer, stop: AbortSignal): Promise<HostileReply> {
  const beganMs = performance.now();
  const { promise, resolve } = Promise.withResolvers<HostileReply>();
  const end = (status: number | null, code: string | null) =>
    resolve({ status, code: stop.aborted ? "unfinished" : code, tookMs: performance.now() - beganMs });
  const headers = { "content-type": "application/json", "content-length": body.length };
  const sent = request(`${url}/v1/chat/completions`, { method: "POST", headers, signal: stop }, (reply) => {
    let text = "";
    reply.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    reply.once("end", () => end(reply.statusCode ?? null, codeIn(text)));
    reply.once("error", (error) => end(null, codeOf(error)));
  });
  sent.once("error", (error) => end(null, codeOf(error)));
  // A reply that comes before the body is through closes the connection under it.
  sent.on("error", () => {});
  sent.end(body);
  return promise;
}

function codeIn(text: string): string | null {
  try {
    return (JSON.parse(text) as { error?: { code?: string } }).error?.code ?? null;
  } catch {
    return "not JSON";
  }
}

function codeOf(error: NodeJS.ErrnoException): string {
  return error.code ?? error.name;
}
