import { QuernError } from "@quern/shared/contract/errors";
import type { Endpoint } from "@quern/shared/contract/job";

/** What is asked of every row alike. */
export interface Asking {
  model: string;
  maxTokens: number | null;
  temperature: number | null;
  /** A JSON schema that answers must keep. */
  schema: object | null;
  /** null: as the model does by itself. */
  thinking: boolean | null;
}

export interface Prompt {
  prompt: string;
  system: string | null;
}

/**
 * The body that asks an endpoint for one prompt's answer.
 * @throws QuernError `config_invalid` for an option that the endpoint does not know.
 */
export function requestBody(endpoint: Endpoint, { prompt, system }: Prompt, asking: Asking): object {
  const { model, maxTokens, temperature, schema, thinking } = asking;
  const sampling = temperature === null ? {} : { temperature };
  const template = thinking === null ? {} : { chat_template_kwargs: { enable_thinking: thinking } };
  const format = { name: "answer", strict: true, schema };
  switch (endpoint) {
    case "/v1/chat/completions":
      return {
        model,
        messages: [
          ...(system === null ? [] : [{ role: "system", content: system }]),
          { role: "user", content: prompt },
        ],
        ...sampling,
        ...(maxTokens === null ? {} : { max_tokens: maxTokens }),
        ...(schema === null ? {} : { response_format: { type: "json_schema", json_schema: format } }),
        ...template,
      };
    case "/v1/responses":
      return {
        model,
        ...(system === null ? {} : { instructions: system }),
        input: prompt,
        ...sampling,
        ...(maxTokens === null ? {} : { max_output_tokens: maxTokens }),
        ...(schema === null ? {} : { text: { format: { type: "json_schema", ...format } } }),
        ...template,
      };
    case "/v1/completions":
      refuse(endpoint, { "--system": system, "--schema": schema, "--no-thinking": thinking });
      return { model, prompt, ...sampling, ...(maxTokens === null ? {} : { max_tokens: maxTokens }) };
    case "/v1/embeddings":
      refuse(endpoint, {
        "--system": system,
        "--schema": schema,
        "--no-thinking": thinking,
        "--temperature": temperature,
        "--max-tokens": maxTokens,
      });
      return { model, input: prompt };
  }
}

function refuse(endpoint: Endpoint, options: Record<string, unknown>): void {
  const [option] = Object.entries(options).find(([, value]) => value !== null) ?? [];
  if (option === undefined) return;
  throw new QuernError("config_invalid", `${endpoint} knows no ${option}: leave it out`);
}
