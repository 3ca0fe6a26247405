import { trace } from "@opentelemetry/api";
import { contextFromTraceparent } from "@quern/shared/process/trace-context";
import type { Embedded, Generated } from "../protocol/engine-messages.ts";

/**
 * The two spans of a generation, recorded when it ended: `prefill` from its slot to the first token, `decode` from
 * there to the last. What only reads (embeddings) has the first one. No span is held open while it runs, so a step costs the same with traces and without.
 */
export function recordGenerationSpans(
  traceparent: string | null,
  { usage, timings }: Generated | Embedded,
): void {
  const tracer = trace.getTracer("quern-engine");
  const parent = contextFromTraceparent(traceparent);
  const { slotAtMs, firstTokenAtMs, endedAtMs } = timings;
  tracer
    .startSpan(
      "prefill",
      { startTime: slotAtMs, attributes: { "gen_ai.usage.input_tokens": usage.promptTokens } },
      parent,
    )
    .end(firstTokenAtMs ?? endedAtMs);
  if (firstTokenAtMs === null) return;
  tracer
    .startSpan(
      "decode",
      { startTime: firstTokenAtMs, attributes: { "gen_ai.usage.output_tokens": usage.completionTokens } },
      parent,
    )
    .end(endedAtMs);
}
