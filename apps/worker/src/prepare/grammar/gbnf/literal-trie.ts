import { EMPTY, literal } from "./gbnf-text.ts";
import type { GrammarRules } from "./grammar-rules.ts";

export interface TrieEntry {
  text: string;
  /** GBNF behind the text; empty: nothing. */
  tail: string;
}

/**
 * One of several texts, as GBNF in which common beginnings are written once: llama.cpp follows every alternative that
 * fits so far, at every token, and here that is few.
 */
export function literalTrie(rules: GrammarRules, entries: readonly TrieEntry[]): string {
  const [first, second] = entries;
  if (first === undefined) throw new Error("a trie of nothing");
  if (second === undefined) return joined(first.text, first.tail);
  const shared = commonPrefix(entries.map(({ text }) => text));
  const branches = new Map<string, TrieEntry[]>();
  for (const { text, tail } of entries) {
    const rest = text.slice(shared.length);
    const next = rest === "" ? "" : String.fromCodePoint(rest.codePointAt(0) ?? 0);
    const branch = branches.get(next) ?? [];
    branch.push({ text: rest, tail });
    branches.set(next, branch);
  }
  if (branches.size === 1 && branches.has("")) return joined(shared, first.tail);
  const alternatives = Array.from(branches, ([next, branch]) =>
    next === "" ? joined("", branch[0]?.tail ?? "") : literalTrie(rules, branch),
  );
  return joined(shared, rules.add("one-of", alternatives.join(" | ")));
}

/** Never without any text: llama.cpp reads on into the next rule where the last alternative of one is blank. */
function joined(text: string, tail: string): string {
  if (text === "" && tail === "") return EMPTY;
  return [text === "" ? "" : literal(text), tail].filter((part) => part !== "").join(" ");
}

/** In whole characters, so that no surrogate pair is cut. */
function commonPrefix(texts: readonly string[]): string {
  const [first = ""] = texts;
  let length = first.length;
  for (const text of texts) {
    let same = 0;
    while (same < length && text.charCodeAt(same) === first.charCodeAt(same)) same += 1;
    length = same;
  }
  return /[\uD800-\uDBFF]$/.test(first.slice(0, length))
    ? first.slice(0, length - 1)
    : first.slice(0, length);
}
