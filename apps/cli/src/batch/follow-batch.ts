import { setTimeout as sleep } from "node:timers/promises";
import { QuernError } from "@quern/shared/contract/errors";
import { EventSourceParserStream } from "eventsource-parser/stream";
import type { z } from "zod";
import { callServer, type Server } from "../server/call.ts";
import { unreachable } from "../server/server-faults.ts";
import { type Batch, type BatchProgress, batchProgressSchema, batchSchema } from "./batch-object.ts";

/** A server sends something every 15 s at least: one that is silent for longer than this is gone, or cut off. */
const SILENCE_MS = 45_000;
const RECONNECT_DELAY_MS = 500;
/** A server that has not answered for so long is left alone; its batch runs on all the same. */
const GIVE_UP_MS = 10 * 60_000;

export interface FollowOptions {
  signal: AbortSignal;
  onProgress: (progress: BatchProgress) => void;
  /** The connection broke: the batch runs on, it is only not seen. */
  onAway: () => void;
}

/**
 * Follows a batch to its end, over broken connections and gateways that come and go.
 * @returns the batch as it ended.
 * @throws QuernError `server_refused` (not this key's batch, or none), `server_unavailable` after ten minutes.
 */
export async function followBatch(server: Server, id: string, options: FollowOptions): Promise<Batch> {
  const { signal, onAway } = options;
  let heardAtMs = performance.now();
  const onHeard = () => {
    heardAtMs = performance.now();
  };
  for (;;) {
    try {
      for await (const event of eventsOf(server, id, { signal, onHeard })) {
        if (event.event === "end") return parsed(batchSchema, event.data);
        if (event.event === "progress") options.onProgress(parsed(batchProgressSchema, event.data));
      }
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof QuernError && !error.retryable) throw error;
      if (performance.now() - heardAtMs > GIVE_UP_MS) {
        throw error instanceof QuernError ? error : unreachable(server, error);
      }
    }
    onAway();
    await sleep(RECONNECT_DELAY_MS, undefined, { signal });
  }
}

function parsed<Shape extends z.ZodType>(shape: Shape, data: string): z.infer<Shape> {
  const read = shape.safeParse(JSON.parse(data));
  if (read.success) return read.data;
  throw new QuernError(
    "server_refused",
    "the server tells of a batch in a way that is not known here: is it of this version?",
  );
}

/** `onHeard` is called for every sign of life, heartbeats too: a paused batch has no events. */
async function* eventsOf(
  server: Server,
  id: string,
  { signal, onHeard }: { signal: AbortSignal; onHeard: () => void },
) {
  const silence = new AbortController();
  const watch = setTimeout(() => silence.abort(new Error("silent for too long")), SILENCE_MS);
  try {
    const reply = await callServer(server, `/v1/batches/${encodeURIComponent(id)}/events`, {
      headers: { accept: "text/event-stream" },
      signal: AbortSignal.any([signal, silence.signal]),
    });
    if (reply.body === null) return;
    const heard = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        watch.refresh();
        onHeard();
        controller.enqueue(chunk);
      },
    });
    const text: TransformStream<Uint8Array, string> = new TextDecoderStream();
    yield* reply.body.pipeThrough(heard).pipeThrough(text).pipeThrough(new EventSourceParserStream());
  } finally {
    clearTimeout(watch);
  }
}
