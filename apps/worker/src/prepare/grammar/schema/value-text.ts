import type { GrammarRules } from "../gbnf/grammar-rules.ts";
import type { SchemaAlternatives } from "./schema-alternatives.ts";
import type { JsonSchema } from "./schema-keywords.ts";

/** GBNF of the values that something allows. */
export interface ValueText {
  text: string;
  /** Items and characters that its bounds allow, multiplied along the deepest way in. */
  nested: number;
  /** Readings that llama.cpp may follow side by side within it. */
  parallel: number;
}

/** What writing objects and arrays needs of the schema document they stand in. */
export interface ValueWriter {
  readonly rules: GrammarRules;
  readonly alternatives: SchemaAlternatives;
  /** The rule of a schema's values: its `text` is a rule's name. `path`: for errors, where schemas were merged. */
  value(schema: JsonSchema, path: string): ValueText;
}

/** Something made of values one after the other: only one of them is being read at a time. */
export function composed(text: string, values: readonly ValueText[]): ValueText {
  return {
    text,
    nested: Math.max(1, ...values.map(({ nested }) => nested)),
    parallel: Math.max(1, ...values.map(({ parallel }) => parallel)),
  };
}
