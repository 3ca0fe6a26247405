import type { BatchRecord, EndedLine } from "@quern/shared/contract/batch";
import { batchLineId } from "@quern/shared/contract/batch-line-id";
import type { Endpoint, JobError } from "@quern/shared/contract/job";
import { lineJobId } from "@quern/shared/contract/line-job";
import { type EndpointResponse, toEndpointResponse } from "@quern/shared/openai/endpoint-response";
import { httpStatusOf, toErrorBody } from "@quern/shared/openai/error-body";
import { inWordsOf } from "@quern/shared/openai/field-names";

/** A line of a batch's output or error file, as OpenAI writes it, with its line break. */
export interface OutputLine {
  file: "output" | "errors";
  text: string;
}

/** What a line ended with that no code of ours says: its batch did. */
export const ENDED_WITH_BATCH: Record<"cancelled" | "expired", JobError> = {
  cancelled: {
    code: "batch_cancelled",
    message: "The batch was cancelled before this request was completed.",
    param: null,
  },
  expired: {
    code: "batch_expired",
    message: "The batch's window ended before this request was completed.",
    param: null,
  },
};

/**
 * What was answered goes to the output file. The caller's own errors keep their HTTP form; what ended otherwise has
 * no response.
 */
export function toOutputLine(
  batch: Pick<BatchRecord, "id" | "endpoint" | "model">,
  line: EndedLine,
): OutputLine {
  const requestId = lineJobId({ batchId: batch.id, index: line.index });
  const begin = { id: batchLineId({ batchId: batch.id, index: line.index }), custom_id: line.customId };
  const body = line.state === "completed" ? answerOf(batch, line, requestId) : null;
  if (body !== null) {
    const response = { status_code: 200, request_id: requestId, body };
    return { file: "output", text: toText({ ...begin, response, error: null }) };
  }
  const { state } = line;
  const error = state === "cancelled" || state === "expired" ? ENDED_WITH_BATCH[state] : line.error;
  return { file: "errors", text: toText({ ...begin, ...failure(batch.endpoint, requestId, error) }) };
}

function answerOf(
  { endpoint, model }: Pick<BatchRecord, "endpoint" | "model">,
  line: EndedLine,
  id: string,
): EndpointResponse | null {
  return toEndpointResponse({ ...line, id, endpoint, model: model ?? "", class: "batch" });
}

function failure(endpoint: Endpoint, requestId: string, error: JobError | null): object {
  const { code, ...told } = error ?? {
    code: "internal_error",
    message: "The request has no answer.",
    param: null,
  };
  const status = httpStatusOf(code);
  const { message, param } = inWordsOf(endpoint, told);
  if (status >= 500) return { response: null, error: { code, message } };
  const body = toErrorBody({ code, message, param });
  return { response: { status_code: status, request_id: requestId, body }, error: null };
}

function toText(line: object): string {
  return `${JSON.stringify(line)}\n`;
}
