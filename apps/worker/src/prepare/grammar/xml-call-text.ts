import type { TemplateTool } from "@quern/shared/contract/generation";
import { parameterTypes } from "../../protocol/parameter-types.ts";
import { type CodeRange, intersection } from "./gbnf/code-ranges.ts";
import { characterClass, literal } from "./gbnf/gbnf-text.ts";
import type { GrammarRules } from "./gbnf/grammar-rules.ts";
import { literalTrie } from "./gbnf/literal-trie.ts";
import { textWithout } from "./gbnf/text-without.ts";
import type { ObjectMember } from "./schema/object-members.ts";
import { SchemaRules } from "./schema/schema-rules.ts";
import type { TextSpelling } from "./schema/string-text.ts";
import { type ArgumentDemands, parametersOf, schemaPath } from "./tool-parameters.ts";

const PARAMETER_CLOSE = "</parameter>";
const VALUE_END = `\n${PARAMETER_CLOSE}\n`;
/** What a value that is bound by its length or a pattern may hold: nothing that could end it, and all of UTF-8. */
const BARE: readonly CodeRange[] = [
  [0x09, 0x0a],
  [0x20, 0x3b],
  [0x3d, 0x7e],
  [0xa0, 0xd7ff],
  [0xe000, 0x10ffff],
];
const BARE_SPELLING: TextSpelling = {
  character: (rules) => rules.add("bare", characterClass(BARE)),
  set: (ranges) => {
    const bare = intersection(BARE, ranges);
    return bare.length === 0 ? null : characterClass(bare);
  },
};

/** A call in the form of Qwen3-Coder's template, where every line break stands. @returns a rule's name */
export function xmlCall(
  rules: GrammarRules,
  tools: readonly TemplateTool[],
  demands: ArgumentDemands,
): string {
  const end = rules.add("xml-end", literal("</function>\n</tool_call>"));
  const named = tools.map((tool) => ({
    text: `${tool.function.name}>\n`,
    tail: demands === "any" ? `${anyParameters(rules)} ${end}` : parametersText(rules, tool, end),
  }));
  return rules.add("call", `${literal("<tool_call>\n<function=")} ${literalTrie(rules, named)}`);
}

/** Each parameter knows what may come after it: one of the next, or the end. */
function parametersText(rules: GrammarRules, tool: TemplateTool, end: string): string {
  const schema = parametersOf(tool);
  const document = new SchemaRules(rules, schema, "tools", schemaPath(tool));
  let next = end;
  for (const member of document.members(schema).toReversed()) {
    const types = parameterTypes(schema, member.name);
    const isText = types.size === 0 || types.has("string");
    const value = isText
      ? textValue(rules, document, member)
      : document.value(member.schema, member.path).text;
    if (/^$|[>\n]/.test(member.name)) {
      document.alternatives.refuse(
        member.path,
        "can't be the name of a parameter in this model's form of calls",
      );
    }
    const block = `${literal(`<parameter=${member.name}>\n`)} ${value} ${literal(VALUE_END)} ${next}`;
    next = rules.add("parameter", member.presence === "required" ? block : `${block} | ${next}`);
  }
  return next;
}

function textValue(rules: GrammarRules, document: SchemaRules, member: ObjectMember): string {
  return document.bareText(member.schema, member.path, BARE_SPELLING) ?? textWithout(rules, PARAMETER_CLOSE);
}

function anyParameters(rules: GrammarRules): string {
  const block = `"<parameter=" [^>\\n]+ ">\\n" ${textWithout(rules, PARAMETER_CLOSE)} ${literal(VALUE_END)}`;
  return `${rules.add("any-parameter", block)}*`;
}
