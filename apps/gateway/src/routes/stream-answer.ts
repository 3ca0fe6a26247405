import { QuernError } from "@quern/shared/contract/errors";
import type { TokenEvent } from "@quern/shared/contract/token-event";
import { toErrorBody } from "@quern/shared/openai/error-body";
import type { Response } from "express";
import { followEvents } from "../follow/follow-events.ts";
import { toQuernError } from "../http/error-reply.ts";
import { SseWriter } from "../http/sse-writer.ts";
import { type AwaitedJob, deadlineExceeded, jobCancelled } from "./awaited-job.ts";
import type { RouteContext } from "./route.ts";

/** Translates a job's events into the chunks of one stream. */
interface Chunks {
  /** @throws QuernError `stream_diverged` */
  next(event: TokenEvent): object[];
}

/** The job's answer as OpenAI streams it. What goes wrong is told in the stream, which ends with `[DONE]` in any case. */
export async function streamAnswer(
  { redis, hub, closing }: RouteContext,
  { job, gone }: AwaitedJob,
  chunks: Chunks,
  response: Response,
): Promise<void> {
  using writer = new SseWriter(response, gone);
  const stop = AbortSignal.any([gone, closing]);
  let ended = false;
  try {
    for await (const { event } of followEvents(hub, redis, job.id, null, stop)) {
      for (const chunk of chunks.next(event)) await writer.event({ data: JSON.stringify(chunk) });
      if (event.type === "error") await tellError(writer, { ...event.data, param: null });
      else if (event.type === "end") {
        ended = true;
        if (event.data.status === "cancelled") await tellError(writer, jobCancelled());
        if (event.data.status === "expired") await tellError(writer, deadlineExceeded(job.id));
      }
    }
    if (!ended)
      await tellError(writer, new QuernError("draining", "this gateway is going away; the job runs on"));
  } catch (thrown) {
    await tellError(writer, toQuernError(thrown));
  }
  await writer.event({ data: "[DONE]" });
  writer.end();
}

function tellError(writer: SseWriter, error: Parameters<typeof toErrorBody>[0]): Promise<void> {
  return writer.event({ data: JSON.stringify(toErrorBody(error)) });
}
