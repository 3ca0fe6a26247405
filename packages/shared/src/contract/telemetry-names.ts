/**
 * The names of attributes, in one place because their conventions still move:
 * messaging https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/,
 * generation https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ (both "development").
 */
export const ATTRIBUTES = {
  messagingSystem: "messaging.system",
  messagingOperation: "messaging.operation.name",
  messagingDestination: "messaging.destination.name",
  messagingMessageId: "messaging.message.id",
  genAiOperation: "gen_ai.operation.name",
  genAiProvider: "gen_ai.provider.name",
  genAiRequestModel: "gen_ai.request.model",
  genAiInputTokens: "gen_ai.usage.input_tokens",
  genAiOutputTokens: "gen_ai.usage.output_tokens",
  genAiFinishReasons: "gen_ai.response.finish_reasons",
  errorType: "error.type",
  attempt: "quern.job.attempt",
  jobClass: "quern.job.class",
} as const;

/** The names of metrics. Both count seconds: below 0 where a job was earlier than half of its like, as estimated. */
export const METRICS = {
  startEstimateError: "quern.job.start_estimate.error",
  endEstimateError: "quern.job.end_estimate.error",
} as const;
