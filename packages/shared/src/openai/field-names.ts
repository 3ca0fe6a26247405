import type { Endpoint } from "../contract/job.ts";

/** What chats call a field, and an endpoint otherwise. Admission and workers, who know no endpoint, say it as chats do. */
const NAMES: Partial<Record<Endpoint, Record<string, string>>> = {
  "/v1/responses": {
    messages: "input",
    max_tokens: "max_output_tokens",
    response_format: "text.format",
    logprobs: "include",
  },
};

/** The same fault in the words of the endpoint that was asked. */
export function inWordsOf(
  endpoint: Endpoint,
  { message, param }: { message: string; param: string | null },
): { message: string; param: string | null } {
  const names = NAMES[endpoint] ?? {};
  const [field = ""] = param?.split(/[.[]/, 1) ?? [];
  const named = names[field];
  return {
    // Other names are words as well.
    message: message.replaceAll(/\b[a-z]+_[a-z]+\b/g, (word) => names[word] ?? word),
    param: param !== null && named !== undefined ? named + param.slice(field.length) : param,
  };
}
