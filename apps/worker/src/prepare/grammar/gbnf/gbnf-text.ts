import type { CodeRange } from "./code-ranges.ts";

/** What takes no character. */
export const EMPTY = '""';

/** `text` as a GBNF literal. Lone surrogates, which no model can write, become U+FFFD. */
export function literal(text: string): string {
  const wellFormed = text.toWellFormed();
  return `"${Array.from(wellFormed, (character) => escaped(character.codePointAt(0) ?? 0)).join("")}"`;
}

/** One character out of the ranges, as a GBNF class. */
export function characterClass(ranges: readonly CodeRange[]): string {
  const parts = ranges.map(([first, last]) =>
    first === last ? escaped(first) : `${escaped(first)}-${escaped(last)}`,
  );
  return `[${parts.join("")}]`;
}

/** All but letters, digits and plain punctuation is written by its number: nothing of a schema is read as GBNF. */
function escaped(code: number): string {
  const character = String.fromCodePoint(code);
  if (/^[A-Za-z0-9 _:;,.<>{}()=+*/?!@#$%&|~'`]$/.test(character)) return character;
  if (code <= 0xff) return `\\x${hex(code, 2)}`;
  if (code <= 0xffff) return `\\u${hex(code, 4)}`;
  return `\\U${hex(code, 8)}`;
}

function hex(code: number, digits: number): string {
  return code.toString(16).toUpperCase().padStart(digits, "0");
}
