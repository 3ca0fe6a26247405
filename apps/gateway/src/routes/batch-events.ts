import type { BatchRecord } from "@quern/shared/contract/batch";
import { isBatchOver } from "@quern/shared/contract/batch-lifecycle";
import { QuernError } from "@quern/shared/contract/errors";
import { toBatchObject } from "@quern/shared/openai/batch-object";
import { batchEventsQuerySchema } from "@quern/shared/openai/batch-requests";
import { parseOrRefuse } from "@quern/shared/openai/first-fault";
import type { RequestHandler } from "express";
import type { LinePosition } from "../follow/batch-lines.ts";
import { type BatchEvent, followBatch } from "../follow/follow-batch.ts";
import { clientGone } from "../http/client-gone.ts";
import { SseWriter } from "../http/sse-writer.ts";
import { findBatch } from "./find-batch.ts";
import type { RouteContext } from "./route.ts";

const RECONNECT_AFTER_MS = 1_000;
/** Of a line event: how far it is in output and error file, in bytes. */
const LINE_EVENT_ID = /^(\d{1,15})-(\d{1,15})$/;
const END_EVENT_ID = "end";

/**
 * `GET /v1/batches/{id}/events`: how the batch goes on as server-sent events: `progress` when something changed, twice a
 * second at most, and `end` with the whole batch. With `?lines=true` each line of its files is a `line` event as soon as it stands
 * there, and a stream that broke off is taken up again after `Last-Event-ID`. Who has seen the `end` gets 204.
 */
export function batchEventsRoute(context: RouteContext): RequestHandler<{ id: string }> {
  return async (request, response) => {
    const { lines, after } = parseOrRefuse(batchEventsQuerySchema, request.query);
    const lastId = request.header("last-event-id") ?? after ?? "";
    const { id, status } = await findBatch(context.redis, request, response);
    if (lastId === END_EVENT_ID && isBatchOver(status)) {
      // Browsers reconnect whenever a stream ends, this one too; No Content tells them that there is no more.
      response.status(204).end();
      return;
    }
    const position = lines === "true" ? positionOf(lastId) : null;
    // Its reader comes back to another gateway.
    const stop = AbortSignal.any([clientGone(response), context.draining]);
    const events = followBatch(context, id, position, stop);
    // What can be wrong with the request shows before the stream is open.
    let next = await events.next();
    using writer = new SseWriter(response, stop);
    await writer.retry(RECONNECT_AFTER_MS);
    for (; next.done !== true; next = await events.next()) await writer.event(toSse(next.value));
    writer.end();
  };
}

/** @throws QuernError `invalid_request` */
function positionOf(lastId: string): LinePosition {
  if (lastId === "") return { output: 0, errors: 0 };
  const [, output, errors] = LINE_EVENT_ID.exec(lastId) ?? [];
  if (output !== undefined) return { output: Number(output), errors: Number(errors) };
  throw new QuernError(
    "invalid_request",
    "Last-Event-ID must be the id of a line event of this batch, such as 1024-0",
    { param: "last-event-id" },
  );
}

function toSse(event: BatchEvent): { event: string; id?: string; data: string } {
  switch (event.type) {
    case "progress":
      return { event: "progress", data: JSON.stringify(progressOf(event.record)) };
    case "line": {
      const { output, errors } = event.position;
      // A line is JSON without line breaks.
      return { event: "line", id: `${output}-${errors}`, data: event.text };
    }
    case "end":
      return { event: "end", id: END_EVENT_ID, data: JSON.stringify(toBatchObject(event.record)) };
  }
}

/** What of a batch changes while it runs. */
function progressOf(record: BatchRecord): object {
  const { id, status, model, awaited_model, request_counts, usage, paused_at, progress } =
    toBatchObject(record);
  return { id, status, model, awaited_model, request_counts, usage, paused_at, progress };
}
