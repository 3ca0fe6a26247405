import { type ErrorCode, QuernError } from "@quern/shared/contract/errors";
import type { JobRecord, NewJob } from "@quern/shared/contract/job";
import { ChatChunks } from "@quern/shared/openai/chat-chunks";
import { type ChatRequest, parseChatRequest } from "@quern/shared/openai/chat-request";
import { type ChatCompletion, toChatCompletion } from "@quern/shared/openai/chat-response";
import { toErrorBody } from "@quern/shared/openai/error-body";
import type { RequestHandler, Response } from "express";
import { admit } from "../admission/admit.ts";
import { isServed } from "../admission/known-models.ts";
import { authenticate } from "../auth/authenticate.ts";
import { cancelJob } from "../dispatch/cancel-job.ts";
import { drawSeed } from "../dispatch/draw-seed.ts";
import { submitJob } from "../dispatch/submit-job.ts";
import { followEvents } from "../follow/follow-events.ts";
import { waitForEnd } from "../follow/wait-for-end.ts";
import { clientGone } from "../http/client-gone.ts";
import { toQuernError } from "../http/error-reply.ts";
import { SseWriter } from "../http/sse-writer.ts";
import { jobNotFound } from "./find-job.ts";
import type { RouteContext } from "./route.ts";

const MODEL_RETRY_AFTER_SECONDS = 5;

/** `POST /v1/chat/completions`: a job like any other, awaited. A caller that hangs up cancels it. */
export function chatCompletionsRoute(context: RouteContext): RequestHandler {
  const { redis, queues, retentionSeconds } = context;
  return async (request, response) => {
    const { tenant } = authenticate(request);
    const chat = parseChatRequest(request.body, { drawSeed });
    const known = await admit(context, chat.model, chat.generation);
    const { model } = known.description;
    if (!isServed(known)) throw notServed(model);
    const gone = clientGone(response);

    const endpoint = "/v1/chat/completions";
    const job = await submitJob(redis, queues, {
      tenant,
      endpoint,
      model,
      request: chat.generation,
      metadata: {},
    });
    response.locals.jobId = job.id;
    response.setHeader("x-quern-job-id", job.id);
    const cancel = () => void cancelJob(redis, queues, job, retentionSeconds).catch(() => {});
    if (gone.aborted) cancel();
    else gone.addEventListener("abort", cancel, { once: true });

    if (chat.stream) await streamChunks(context, chat, job, response, gone);
    else await replyWhole(context, job, response, gone);
  };
}

async function replyWhole(
  { redis, hub, draining }: RouteContext,
  job: NewJob,
  response: Response,
  gone: AbortSignal,
): Promise<void> {
  const record = await waitForEnd(hub, redis, job.id, AbortSignal.any([gone, draining]));
  if (gone.aborted) return;
  response.json(completionOf(record, job.id));
}

/** @throws QuernError what the job failed of. */
function completionOf(record: JobRecord | null, jobId: string): ChatCompletion {
  if (record === null) throw jobNotFound(jobId);
  const { model, createdAtMs, state, result, usage, error } = record;
  if (state === "completed" && result !== null && usage !== null) {
    return toChatCompletion({ jobId, model, createdAtMs, result, usage });
  }
  if (error !== null) {
    const param = error.param === null ? {} : { param: error.param };
    throw new QuernError(error.code as ErrorCode, error.message, param);
  }
  if (state === "cancelled") throw new QuernError("job_cancelled", "the job was cancelled before it ended");
  throw new QuernError(
    "draining",
    `this gateway is going away while the job runs on; its answer will be at /v1/jobs/${jobId}`,
  );
}

async function streamChunks(
  { redis, hub, draining }: RouteContext,
  { includeUsage }: ChatRequest,
  job: NewJob,
  response: Response,
  gone: AbortSignal,
): Promise<void> {
  const { id: jobId, model, createdAtMs } = job;
  const chunks = new ChatChunks({ jobId, model, createdAtMs, includeUsage });
  using writer = new SseWriter(response, gone);
  let ended = false;
  try {
    for await (const { event } of followEvents(hub, redis, jobId, null, AbortSignal.any([gone, draining]))) {
      for (const chunk of chunks.next(event)) await writer.event({ data: JSON.stringify(chunk) });
      if (event.type === "error") {
        const { code, message } = event.data;
        await writer.event({ data: JSON.stringify(toErrorBody({ code, message, param: null })) });
      } else if (event.type === "end") {
        ended = true;
        if (event.data.status === "cancelled") {
          await tellError(writer, new QuernError("job_cancelled", "the job was cancelled before it ended"));
        }
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

function tellError(writer: SseWriter, error: QuernError): Promise<void> {
  return writer.event({ data: JSON.stringify(toErrorBody(error)) });
}

function notServed(model: string): QuernError {
  return new QuernError(
    "model_unavailable",
    `no worker serves ${model} just now; try again soon, or queue the request with POST /v1/jobs`,
    { retryAfterSeconds: MODEL_RETRY_AFTER_SECONDS },
  );
}
