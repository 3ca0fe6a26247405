import {
  type Context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";
import type { Endpoint, JobRecord } from "@quern/shared/contract/job";
import { ATTRIBUTES } from "@quern/shared/contract/telemetry-names";
import { contextFromTraceparent, traceparentOf } from "@quern/shared/process/trace-context";
import { type AttemptOutcome, finishReasonOf } from "./attempt.ts";

/** `gen_ai.operation.name`, as the conventions have it. */
const OPERATIONS: Record<Endpoint, string> = {
  "/v1/chat/completions": "chat",
  "/v1/completions": "text_completion",
  "/v1/embeddings": "embeddings",
  "/v1/responses": "chat",
};

/**
 * The spans of one attempt: under the submitter's span, `queue wait` and `process`; under that, `<operation> <model>`. Of a
 * batch's line `process` begins a trace of its own, which is linked to the batch's.
 */
export interface AttemptSpans {
  /** What the engine child hangs its own spans on. */
  readonly traceparent: string | null;
  end(outcome: AttemptOutcome): void;
}

export function startAttemptSpans(record: JobRecord, nowMs: number): AttemptSpans {
  const tracer = trace.getTracer("quern-worker");
  const { parent, links } = originOf(record);
  const process = tracer.startSpan(
    `process ${record.class}`,
    {
      kind: SpanKind.CONSUMER,
      startTime: nowMs,
      links,
      attributes: {
        [ATTRIBUTES.messagingSystem]: "bullmq",
        [ATTRIBUTES.messagingOperation]: "process",
        [ATTRIBUTES.messagingDestination]: record.class,
        [ATTRIBUTES.messagingMessageId]: record.id,
        [ATTRIBUTES.attempt]: record.attempt,
      },
    },
    parent,
  );
  const processing = trace.setSpan(parent, process);
  const waited = record.line === null ? parent : processing;
  tracer.startSpan("queue wait", { startTime: record.queuedAtMs }, waited).end(nowMs);
  const operation = OPERATIONS[record.endpoint];
  const inference = tracer.startSpan(
    `${operation} ${record.model}`,
    {
      startTime: nowMs,
      attributes: {
        [ATTRIBUTES.genAiOperation]: operation,
        [ATTRIBUTES.genAiProvider]: "quern",
        [ATTRIBUTES.genAiRequestModel]: record.model,
      },
    },
    processing,
  );
  return {
    traceparent: traceparentOf(inference),
    end: ({ answer, error, end }) => {
      if (answer !== null) {
        inference.setAttributes({
          [ATTRIBUTES.genAiInputTokens]: answer.usage.promptTokens,
          [ATTRIBUTES.genAiOutputTokens]: answer.usage.completionTokens,
          [ATTRIBUTES.genAiFinishReasons]: [finishReasonOf(answer.result) ?? end],
        });
      }
      for (const span of [inference, process]) endSpan(span, error);
    },
  };
}

/** Thousands of lines under one parent are a trace that nobody can sample, or look at. */
function originOf({ traceparent, line }: JobRecord): { parent: Context; links: Link[] } {
  const submitted = contextFromTraceparent(traceparent);
  if (line === null) return { parent: submitted, links: [] };
  const context = trace.getSpanContext(submitted);
  return { parent: ROOT_CONTEXT, links: context === undefined ? [] : [{ context }] };
}

function endSpan(span: Span, error: AttemptOutcome["error"]): void {
  if (error !== null) {
    span.setAttribute(ATTRIBUTES.errorType, error.code);
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end();
}
