import { createHash } from "node:crypto";
import { refuseUnbounded } from "@quern/shared/admission/request-bounds";
import { parseBatchLine } from "@quern/shared/contract/batch-line";
import { QuernError } from "@quern/shared/contract/errors";
import type { Endpoint, JobError } from "@quern/shared/contract/job";
import { jobSizeOf } from "@quern/shared/contract/job-size";
import { lineJobId } from "@quern/shared/contract/line-job";
import { parseEndpointRequest } from "@quern/shared/openai/endpoint-request";
import { inWordsOf } from "@quern/shared/openai/field-names";
import type { FedLine, UnfedLine } from "@quern/shared/redis/batch-lines";
import type { FeedBatch } from "./feed-batch.ts";
import type { InputLineText } from "./input-block.ts";
import { estimateTokens } from "./line-cost.ts";
import type { ServedModel } from "./served-models.ts";

/** llama.cpp's seeds have 32 bits, the highest of which means "any". */
const MAX_SEED = 2 ** 32 - 2;

/** A line as a job, or why it can't be one, which is its end. */
export type LineRequest = { kind: "job"; line: FedLine } | { kind: "refused"; line: UnfedLine };

/** @param copies further lines that ask for the very same. */
export function toLineRequest(
  batch: FeedBatch,
  input: InputLineText,
  copies: number,
  model: ServedModel,
  nowMs: number,
): LineRequest {
  const { index, offset, bytes } = input;
  const read = parseBatchLine(input.text ?? "");
  if ("fault" in read) {
    const { message, param } = read.fault;
    const error = { code: "invalid_request", message, param };
    return { kind: "refused", line: { index, customId: "", copies, error } };
  }
  const { custom_id: customId, body } = read.line;
  try {
    const { request, echoed } = requestOf(batch, index, body, model);
    const line = { customId, copies, estimatedTokens: estimateTokens(request, model.lengths) };
    const { tenant, endpoint, traceparent } = batch;
    const job: FedLine["job"] = {
      ...{ tenant, endpoint, traceparent, request, line, echoed },
      model: batch.model,
      class: "batch",
      metadata: {},
      size: jobSizeOf(request),
      createdAtMs: nowMs,
      deadlineAtMs: batch.expiresAtMs,
    };
    return { kind: "job", line: { index, offset, bytes, job } };
  } catch (error) {
    return { kind: "refused", line: { index, customId, copies, error: toJobError(batch.endpoint, error) } };
  }
}

/** @throws QuernError as whoever sends such a body to its endpoint gets it. */
function requestOf(batch: FeedBatch, index: number, body: Record<string, unknown>, model: ServedModel) {
  if (body.stream === true) {
    throw new QuernError(
      "unsupported_parameter",
      "stream=true is not supported in a batch, whose answers are read from a file: leave it out",
      { param: "stream" },
    );
  }
  const drawSeed = () => seedOf(lineJobId({ batchId: batch.id, index }));
  const { request, echoed = null } = parseEndpointRequest(batch.endpoint, body, { drawSeed });
  if (model.description !== null) refuseUnbounded(request, model.description, model.served);
  return { request, echoed };
}

/** A line that is fed again samples alike. */
function seedOf(jobId: string): number {
  return createHash("sha256").update(jobId).digest().readUInt32BE() % (MAX_SEED + 1);
}

/** By the names that the endpoint has for its fields. A fault of ours ends its line too: it must not stop the others. */
function toJobError(endpoint: Endpoint, error: unknown): JobError {
  if (!(error instanceof QuernError)) {
    const message = `the request could not be read (${(error as Error).name})`;
    return { code: "internal_error", message, param: null };
  }
  return { code: error.code, ...inWordsOf(endpoint, error) };
}
