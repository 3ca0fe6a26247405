import { QuernError } from "@quern/shared/contract/errors";
import { batchBodySchema } from "@quern/shared/openai/batch-requests";
import { parseOrRefuse } from "@quern/shared/openai/first-fault";
import { readFileRecord } from "@quern/shared/redis/file-records";
import type { RequestHandler } from "express";
import type { Redis } from "ioredis";
import { admitWebhook } from "../admission/admit-webhook.ts";
import { authenticate, type Caller } from "../auth/authenticate.ts";
import { acceptBatch } from "./accept-batch.ts";
import type { RouteContext } from "./route.ts";

/**
 * `POST /v1/batches` → the batch, `validating`. Its input is read by a scheduler: what is wrong in there fails the batch, not
 * this request.
 */
export function createBatchRoute(context: RouteContext): RequestHandler {
  return async (request, response) => {
    const caller = authenticate(request);
    const body = parseOrRefuse(batchBodySchema, request.body);
    const webhook = admitWebhook(body.webhook, context.webhookRules);
    await acceptBatch(context, request, response, caller.tenant, async () => {
      await refuseUnlessInput(context.redis, caller, body.input_file_id);
      return {
        tenant: caller.tenant,
        endpoint: body.endpoint,
        inputFileId: body.input_file_id,
        windowSeconds: body.completion_window,
        metadata: body.metadata,
        outputExpiresAfterSeconds: body.output_expires_after?.seconds ?? null,
        dedupe: body.dedupe ?? context.batchDedupe,
        retriedFrom: null,
        webhook,
      };
    });
  };
}

/** @throws QuernError `invalid_request`, also for another tenant's file. 400 as at OpenAI: the batch is at fault, not its address. */
async function refuseUnlessInput(redis: Redis, { tenant }: Caller, fileId: string): Promise<void> {
  const file = await readFileRecord(redis, fileId);
  if (file === null || file.tenant !== tenant) {
    throw badInput(`there is no file '${fileId}': upload the input with POST /v1/files, purpose=batch`);
  }
  if (file.purpose !== "batch") {
    throw badInput(
      `the file ${fileId} has the purpose '${file.purpose}'; the input of a batch is uploaded with purpose=batch`,
    );
  }
}

function badInput(message: string): QuernError {
  return new QuernError("invalid_request", message, { param: "input_file_id" });
}
