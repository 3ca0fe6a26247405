import { z } from "zod";
import type { ResponsesBody } from "./responses-body-schema.ts";

/**
 * What a response repeats of its request, defaults filled in. It is kept with the job, as the `GenerationRequest`, which knows no
 * vendor's format, can't say it.
 */
const echoSchema = z.object({
  instructions: z.string().nullable(),
  previous_response_id: z.string().nullable(),
  tools: z.array(z.record(z.string(), z.unknown())),
  tool_choice: z.unknown(),
  parallel_tool_calls: z.boolean(),
  temperature: z.number().nullable(),
  top_p: z.number().nullable(),
  max_output_tokens: z.int().nullable(),
  max_tool_calls: z.int().nullable(),
  top_logprobs: z.int(),
  text: z.record(z.string(), z.unknown()),
  reasoning: z.record(z.string(), z.unknown()),
  truncation: z.literal("disabled"),
  background: z.boolean(),
  store: z.boolean(),
  metadata: z.record(z.string(), z.string()),
  user: z.string().nullable(),
  safety_identifier: z.string().nullable(),
  prompt_cache_key: z.string().nullable(),
});
export type ResponsesEcho = z.infer<typeof echoSchema>;

/** null as temperature or `top_p`: the model's own. */
export function echoOf(body: ResponsesBody): ResponsesEcho {
  return {
    instructions: instructionsOf(body),
    previous_response_id: body.previous_response_id ?? null,
    tools: (body.tools ?? []).map(({ description, parameters, strict, ...tool }) => ({
      ...tool,
      description: description ?? null,
      parameters: parameters ?? null,
      strict: strict ?? null,
    })),
    tool_choice: body.tool_choice ?? "auto",
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    temperature: body.temperature ?? null,
    top_p: body.top_p ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    max_tool_calls: body.max_tool_calls ?? null,
    top_logprobs: body.top_logprobs ?? 0,
    text: { format: body.text?.format ?? { type: "text" }, verbosity: "medium" },
    reasoning: { effort: body.reasoning?.effort ?? null, summary: body.reasoning?.summary ?? null },
    truncation: "disabled",
    background: body.background ?? false,
    store: body.store ?? true,
    metadata: body.metadata ?? {},
    user: body.user ?? null,
    safety_identifier: body.safety_identifier ?? null,
    prompt_cache_key: body.prompt_cache_key ?? null,
  };
}

/** An empty text instructs nobody. */
function instructionsOf({ instructions }: ResponsesBody): string | null {
  return instructions ? instructions : null;
}

/** Of a job's record, where it was kept. */
export function readEcho(echoed: unknown): ResponsesEcho {
  return echoSchema.parse(echoed);
}
