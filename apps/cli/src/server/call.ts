import { setTimeout as sleep } from "node:timers/promises";
import { QuernError } from "@quern/shared/contract/errors";
import type { z } from "zod";
import { jsonOrNull, refusal, unreachable } from "./server-faults.ts";

/** Where Quern answers. */
export interface Server {
  /** Without a slash at its end. */
  url: string;
  apiKey: string | null;
}

export interface Call {
  method?: "GET" | "POST" | "DELETE";
  json?: object;
  headers?: Record<string, string>;
  signal: AbortSignal;
  /** How long a server that is away, or says that it can't just now, is asked again. 0: not at all. */
  patienceMs?: number;
}

/** Outlives the restart of a gateway, and a rolling one of all of them. */
export const PATIENCE_MS = 60_000;

const FIRST_DELAY_MS = 200;
const MAX_DELAY_MS = 5_000;

/**
 * One request to a server; its body is the caller's to read.
 * @throws QuernError `server_unavailable`, or `server_refused` with what the server says; the signal's reason when it aborts.
 */
export async function callServer(server: Server, path: string, call: Call): Promise<Response> {
  return await withPatience(call, () => callOnce(server, path, call));
}

/** Asks again while what went wrong may pass, for as long as there is patience. */
export async function withPatience<Value>(
  { patienceMs = 0, signal }: Pick<Call, "patienceMs" | "signal">,
  ask: () => Promise<Value>,
): Promise<Value> {
  const giveUpAtMs = performance.now() + patienceMs;
  for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(delayMs * 2, MAX_DELAY_MS)) {
    try {
      return await ask();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof QuernError) || !error.retryable) throw error;
      const waitMs = error.retryAfterSeconds === null ? delayMs : error.retryAfterSeconds * 1_000;
      if (performance.now() + waitMs > giveUpAtMs) throw error;
      await sleep(waitMs, undefined, { signal });
    }
  }
}

/** What `callServer` answers, as JSON of the given shape. */
export async function callForJson<Shape extends z.ZodType>(
  server: Server,
  path: string,
  shape: Shape,
  call: Call,
): Promise<z.infer<Shape>> {
  const text = await withPatience(call, async () => {
    const reply = await callOnce(server, path, call);
    return await reply.text().catch((error: unknown) => {
      call.signal.throwIfAborted();
      throw unreachable(server, error);
    });
  });
  return parseReply(server, path, shape, text);
}

/** @throws QuernError `server_refused` for what Quern would not say. */
export function parseReply<Shape extends z.ZodType>(
  { url }: Server,
  path: string,
  shape: Shape,
  text: string,
): z.infer<Shape> {
  const parsed = shape.safeParse(jsonOrNull(text));
  if (parsed.success) return parsed.data;
  throw new QuernError(
    "server_refused",
    `${url}${path} does not answer as Quern does: is it Quern, and of this version?`,
  );
}

export function authorization({ apiKey }: Server): Record<string, string> {
  return apiKey === null ? {} : { authorization: `Bearer ${apiKey}` };
}

async function callOnce(server: Server, path: string, call: Call): Promise<Response> {
  const { method, json, headers, signal } = call;
  const body = json === undefined ? null : JSON.stringify(json);
  const request = {
    method: method ?? (body === null ? "GET" : "POST"),
    headers: {
      ...(json === undefined ? {} : { "content-type": "application/json" }),
      ...authorization(server),
      ...headers,
    },
    body,
    signal,
  };
  const reply = await fetch(`${server.url}${path}`, request).catch((error: unknown) => {
    signal.throwIfAborted();
    throw unreachable(server, error);
  });
  if (reply.ok) return reply;
  const retryAfter = reply.headers.get("retry-after");
  throw refusal(reply.status, retryAfter, await reply.text().catch(() => ""));
}
