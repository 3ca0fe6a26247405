/**
 * The names of spans' attributes, in one place because their conventions still move:
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
} as const;
