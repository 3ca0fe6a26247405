import { literal } from "./gbnf-text.ts";
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
    const [next = ""] = rest;
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

function joined(text: string, tail: string): string {
  return [text === "" ? "" : literal(text), tail].filter((part) => part !== "").join(" ");
}

/** In whole characters, so that no surrogate pair is cut. */
function commonPrefix(texts: readonly string[]): string {
  let shared = Array.from(texts[0] ?? "");
  for (const text of texts) {
    const characters = Array.from(text);
    const differs = shared.findIndex((character, at) => characters[at] !== character);
    if (differs !== -1) shared = shared.slice(0, differs);
  }
  return shared.join("");
}
