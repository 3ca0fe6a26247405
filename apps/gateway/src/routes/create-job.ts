import { QuernError } from "@quern/shared/contract/errors";
import { deadlineWishOf } from "@quern/shared/openai/deadline";
import { parseEndpointRequest } from "@quern/shared/openai/endpoint-request";
import { parseOrRefuse } from "@quern/shared/openai/first-fault";
import { toJobObject } from "@quern/shared/openai/job-object";
import { jobBodySchema } from "@quern/shared/openai/job-requests";
import { readJob } from "@quern/shared/redis/job-store";
import type { RequestHandler } from "express";
import { admit } from "../admission/admit.ts";
import { admitTimes } from "../admission/admit-times.ts";
import { admitWebhook } from "../admission/admit-webhook.ts";
import { authenticate } from "../auth/authenticate.ts";
import { drawSeed } from "../dispatch/draw-seed.ts";
import { submitJob } from "../dispatch/submit-job.ts";
import { outlookOf } from "../estimate/job-outlook.ts";
import type { RouteContext } from "./route.ts";

/** `POST /v1/jobs` → 202 with the job. It is queued also while no worker of its model is there. */
export function createJobRoute(context: RouteContext): RequestHandler {
  const { redis, queues, arrivals } = context;
  return async (request, response) => {
    const { tenant } = authenticate(request);
    const {
      endpoint,
      body,
      class: givenClass,
      metadata,
      webhook,
      ...wishes
    } = parseOrRefuse(jobBodySchema, request.body);
    const deadline = deadlineWishOf(wishes);
    const target = admitWebhook(webhook, context.webhookRules);
    const asked = parseInside("body", () => parseEndpointRequest(endpoint, body, { drawSeed }));
    const jobClass = givenClass ?? asked.class;
    const known = await admit(context, asked.model, asked.request);
    using arrival = arrivals.begin(known.description.model, jobClass);
    const times = await admitTimes(redis, known, arrival, {
      class: jobClass,
      request: asked.request,
      deadline,
    });

    const job = await submitJob(redis, queues, {
      tenant,
      endpoint,
      class: jobClass,
      model: known.description.model,
      request: asked.request,
      metadata,
      ...times,
      webhook: target,
    });
    arrival[Symbol.dispose]();
    response.locals.jobId = job.id;
    const record = await readJob(redis, job.id);
    if (record === null) throw new Error(`job ${job.id} was not there after it was accepted`);
    const outlook = await outlookOf(context, record);
    response
      .status(202)
      .location(`/v1/jobs/${job.id}`)
      .json(toJobObject(record, outlook.queuePosition, outlook));
  };
}

/** A fault in the inner body is named by its path from the outer one. */
function parseInside<Value>(field: string, parse: () => Value): Value {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof QuernError)) throw error;
    const param = error.param === null ? field : `${field}.${error.param}`;
    throw new QuernError(error.code, error.message, { param, cause: error });
  }
}
