import { z } from "zod";
import { QuernError } from "../contract/errors.ts";
import type { GenerationRequest } from "../contract/generation.ts";
import type { JobClass } from "../contract/job.ts";
import { parseOrRefuse } from "./first-fault.ts";
import { classOfTier, serviceTier } from "./service-tier.ts";
import {
  accepted,
  type DrawSeed,
  nonEmpty,
  type StreamWish,
  streamWishOf,
  textFields,
  textRequestOf,
} from "./text-body.ts";
import { refuseUnstorable } from "./unstorable.ts";
import { refuseTokenIds } from "./unsupported.ts";

/** OpenAI's, where the caller says nothing. */
const DEFAULT_MAX_TOKENS = 16;
const ONE_PROMPT = "must be a text, or an array of one: send one request for each prompt";

/** The body of OpenAI's `POST /v1/completions`. https://platform.openai.com/docs/api-reference/completions/create */
export const completionBodySchema = z.strictObject({
  model: nonEmpty,
  prompt: z.union([z.string(), z.array(z.string()).length(1, ONE_PROMPT)], { error: ONE_PROMPT }),
  suffix: z.string().nullish(),
  ...textFields,
  logprobs: z.int().min(0).max(5).nullish(),
  /** Carried out in one way only. */
  echo: z.boolean().nullish(),
  best_of: z.int().min(1).nullish(),
  /** As in chats. */
  service_tier: serviceTier,
  /** Accepted and without effect. */
  user: accepted,
});
type CompletionBody = z.infer<typeof completionBodySchema>;

export interface CompletionRequest extends StreamWish {
  model: string;
  class: JobClass;
  generation: GenerationRequest;
}

/**
 * Translates an OpenAI completion body. null counts as absent, as does an empty suffix, which leaves no gap to fill.
 * @throws QuernError `invalid_request` or `unsupported_parameter`, with the field at fault.
 */
export function parseCompletionRequest(
  input: unknown,
  { drawSeed }: { drawSeed: DrawSeed },
): CompletionRequest {
  refuseTokenIds(input, "prompt");
  const body = parseOrRefuse(completionBodySchema, input);
  refuseUnstorable(body);
  refuseUnsupported(body);
  return {
    model: body.model,
    class: classOfTier(body.service_tier),
    ...streamWishOf(body),
    generation: {
      completion: completionOf(body),
      messages: [],
      tools: [],
      toolChoice: { type: "auto" },
      templateOptions: {},
      thinkingBudgetTokens: null,
      format: { type: "text" },
      ...textRequestOf(body, drawSeed),
      maxTokens: body.max_tokens ?? DEFAULT_MAX_TOKENS,
      topLogprobs: body.logprobs ?? null,
    },
  };
}

function completionOf({ prompt: given, suffix: rest }: CompletionBody): GenerationRequest["completion"] {
  const prompt = typeof given === "string" ? given : given.join("");
  const suffix = rest === "" ? null : (rest ?? null);
  if (prompt === "" && suffix === null) {
    throw new QuernError(
      "invalid_request",
      "prompt: must not be empty: there would be nothing to go on from",
      {
        param: "prompt",
      },
    );
  }
  return { prompt, suffix };
}

function refuseUnsupported({ echo, best_of: bestOf, n }: CompletionBody): void {
  if (echo) {
    throw new QuernError(
      "unsupported_parameter",
      "echo=true is not supported: put the prompt in front of the answer yourself",
      { param: "echo" },
    );
  }
  if (typeof bestOf === "number" && bestOf !== (n ?? 1)) {
    throw new QuernError(
      "unsupported_parameter",
      `best_of=${bestOf} is not supported: ask for n=${bestOf} and choose among them`,
      { param: "best_of" },
    );
  }
}
