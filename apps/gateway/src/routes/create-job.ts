import { QuernError } from "@quern/shared/contract/errors";
import { deadlineWishOf } from "@quern/shared/openai/deadline";
import { parseEndpointRequest } from "@quern/shared/openai/endpoint-request";
import { parseOrRefuse } from "@quern/shared/openai/first-fault";
import { jobBodySchema } from "@quern/shared/openai/job-requests";
import type { RequestHandler } from "express";
import { admitWebhook } from "../admission/admit-webhook.ts";
import { authenticate } from "../auth/authenticate.ts";
import { drawSeed } from "../dispatch/draw-seed.ts";
import { acceptJob } from "./accept-job.ts";
import { replyWithJob } from "./reply-with-job.ts";
import type { RouteContext } from "./route.ts";

/** `POST /v1/jobs` → 202 with the job. It is queued also while no worker of its model is there. */
export function createJobRoute(context: RouteContext): RequestHandler {
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
    const accepted = await acceptJob(
      context,
      request,
      {
        tenant,
        endpoint,
        class: givenClass ?? asked.class,
        model: asked.model,
        request: asked.request,
        echoed: asked.echoed ?? null,
        metadata,
        deadline,
        webhook: target,
      },
      "queue",
    );
    await replyWithJob(context, accepted, response);
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
