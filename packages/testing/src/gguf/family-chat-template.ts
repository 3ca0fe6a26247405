/** Which of the rules a family's chat template follows. */
export interface ChatTemplateRules {
  /** Said when the caller gives no system message; null: nothing is said then. */
  defaultSystem: string | null;
  toolCalls: "hermes" | "xml" | "none";
  /**
   * What stands at the begin of an answer. `never`: nothing. `optional`: an empty thought where `enable_thinking` is
   * false. `always`: the opened thought.
   */
  thinking: "never" | "optional" | "always";
}

const SYSTEM = "{{- '<|im_start|>system\\n' }}";
const END = "{{- '<|im_end|>\\n' }}";

/**
 * A small ChatML template after the documented rules of a Qwen family (the Qwen documentation, "Key Concepts" and
 * "Function Calling"). It is ours, as short as the rules allow: what it renders resembles the real ones, and is not
 * theirs word for word.
 */
export function familyChatTemplate(rules: ChatTemplateRules): string {
  return [
    "{%- set given = messages[0].content if messages[0].role == 'system' else none %}",
    systemTurn(rules),
    "{%- for message in messages %}",
    "{%- if message.role == 'tool' %}",
    "{{- '<|im_start|>user\\n<tool_response>\\n' + message.content + '\\n</tool_response><|im_end|>\\n' }}",
    "{%- elif message.role != 'system' or not loop.first %}",
    "{{- '<|im_start|>' + message.role + '\\n' + withoutThought(message) }}".replace(
      "withoutThought(message)",
      // Earlier thoughts are not shown again.
      rules.thinking === "never" ? "message.content" : "message.content.split('</think>')[-1].lstrip('\\n')",
    ),
    rules.toolCalls === "none" ? "" : earlierCalls(rules.toolCalls),
    END,
    "{%- endif %}",
    "{%- endfor %}",
    "{%- if add_generation_prompt %}",
    "{{- '<|im_start|>assistant\\n' }}",
    OPENINGS[rules.thinking],
    "{%- endif %}",
  ].join("\n");
}

function systemTurn({ defaultSystem, toolCalls }: ChatTemplateRules): string {
  const said = defaultSystem === null ? "given" : `(given or ${JSON.stringify(defaultSystem)})`;
  const plain = [
    defaultSystem === null ? "{%- if given %}" : "{%- if true %}",
    `{{- '<|im_start|>system\\n' + ${said} + '<|im_end|>\\n' }}`,
    "{%- endif %}",
  ].join("\n");
  if (toolCalls === "none") return plain;
  return [
    "{%- if tools %}",
    SYSTEM,
    `{%- if ${said} %}`,
    `{{- ${said} + '\\n\\n' }}`,
    "{%- endif %}",
    "{{- '# Tools\\n\\n<tools>' }}",
    "{%- for tool in tools %}",
    toolCalls === "hermes" ? "{{- '\\n' + (tool | tojson) }}" : XML_TOOL,
    "{%- endfor %}",
    `{{- '\\n</tools>\\n\\nTo call one, write:\\n' + ${JSON.stringify(CALL_FORMS[toolCalls])} }}`,
    END,
    "{%- else %}",
    plain,
    "{%- endif %}",
  ].join("\n");
}

const CALL_FORMS = {
  hermes: '<tool_call>\n{"name": <name>, "arguments": <arguments>}\n</tool_call>',
  xml: "<tool_call>\n<function=name>\n<parameter=key>\nvalue\n</parameter>\n</function>\n</tool_call>",
};

const XML_TOOL = `{{- '\\n<function>\\n<name>' + tool.function.name + '</name>' }}
{%- for key, field in tool.function.parameters.properties.items() %}
{{- '\\n<parameter>\\n<name>' + key + '</name>\\n<type>' + field.type + '</type>\\n</parameter>' }}
{%- endfor %}
{{- '\\n</function>' }}`;

function earlierCalls(form: "hermes" | "xml"): string {
  const hermes = `{{- '\\n<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
{{- call.function.arguments if call.function.arguments is string else call.function.arguments | tojson }}
{{- '}\\n</tool_call>' }}`;
  // Its arguments are parameters of their own, which needs them as an object.
  const xml = `{{- '\\n<tool_call>\\n<function=' + call.function.name + '>' }}
{%- for key, value in call.function.arguments.items() %}
{{- '\\n<parameter=' + key + '>\\n' + (value if value is string else value | tojson) + '\\n</parameter>' }}
{%- endfor %}
{{- '\\n</function>\\n</tool_call>' }}`;
  return [
    "{%- for call in message.tool_calls or [] %}",
    form === "hermes" ? hermes : xml,
    "{%- endfor %}",
  ].join("\n");
}

const OPENINGS: Record<ChatTemplateRules["thinking"], string> = {
  never: "",
  optional:
    "{%- if enable_thinking is defined and enable_thinking is false %}\n{{- '<think>\\n\\n</think>\\n\\n' }}\n{%- endif %}",
  always: "{{- '<think>\\n' }}",
};
