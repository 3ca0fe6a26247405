import { Template } from "@huggingface/jinja";
import { QuernError } from "@quern/shared/contract/errors";
import type { TemplateMessage } from "@quern/shared/contract/generation";
import type { PromptRequest } from "../../protocol/prepare-messages.ts";
import type { OutputBegin } from "../../protocol/prepared-request.ts";

/** Renders a request as the text that the model continues. */
export type PromptTemplate = (request: PromptRequest) => string;

/** ChatML, which every Qwen was trained on, for files that carry no template of their own. It knows no tools. */
const CHATML = `{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}
{%- endfor -%}
{{- '<|im_start|>assistant\\n' -}}`;

/**
 * @param source the model's own template (GGUF `tokenizer.chat_template`), null when the file has none.
 * @throws QuernError `model_file_invalid` when it is no Jinja template.
 */
export function promptTemplate(
  source: string | null,
  tokens: { bos: string | null; eos: string | null },
): PromptTemplate {
  const template = compile(source ?? CHATML);
  return (request) => {
    try {
      return template.render({
        ...request.templateOptions,
        messages: request.messages.map(withArgumentsAsObjects),
        // Templates ask `if tools`; an empty list must count as none.
        tools: request.tools.length === 0 ? null : request.tools,
        add_generation_prompt: true,
        bos_token: tokens.bos ?? "",
        eos_token: tokens.eos ?? "",
      });
    } catch (error) {
      // Templates refuse what they can't express (`raise_exception`): an order of roles, a missing field.
      throw new QuernError(
        "invalid_request",
        `the chat template of this model refuses these messages: ${error instanceof Error ? error.message : error}`,
        { cause: error, param: "messages" },
      );
    }
  };
}

/**
 * OpenAI's clients send the arguments of earlier calls as JSON in a string. Templates either write `arguments|tojson`,
 * which would quote it twice, or walk through its members.
 */
function withArgumentsAsObjects(message: TemplateMessage): TemplateMessage {
  if (message.tool_calls === undefined) return { ...message };
  const calls = message.tool_calls.map((call) => ({
    ...call,
    function: { ...call.function, arguments: parsedArguments(call.function.arguments) },
  }));
  return { ...message, tool_calls: calls };
}

/** What is no JSON object is shown to the model as it was sent. */
function parsedArguments(sent: string | Record<string, unknown>): string | Record<string, unknown> {
  if (typeof sent !== "string") return sent;
  try {
    const parsed: unknown = JSON.parse(sent);
    const isObject = typeof parsed === "object" && parsed !== null && !Array.isArray(parsed);
    return isObject ? (parsed as Record<string, unknown>) : sent;
  } catch {
    return sent;
  }
}

function compile(source: string): Template {
  try {
    return new Template(source);
  } catch (error) {
    throw new QuernError(
      "model_file_invalid",
      `the chat template in the model file can't be read: ${error}`,
      {
        cause: error,
      },
    );
  }
}

/** What the model's first words mean after this rendered prompt. */
export function outputBegin(prompt: string): OutputBegin {
  const end = prompt.trimEnd();
  if (end.endsWith("<think>")) return "thinking";
  return end.endsWith("</think>") ? "answering" : "undecided";
}
