import { partEarly } from "./alternatives-apart.ts";
import { arrayText } from "./array-text.ts";
import { ANY_SCHEMA, allowedTypes, type FlatSchema } from "./flat-schema.ts";
import { GRAMMAR_LIMITS } from "./grammar-limits.ts";
import type { GrammarRules } from "./grammar-rules.ts";
import { jsonSpelledSet, jsonText } from "./json-text.ts";
import { literalTrie } from "./literal-trie.ts";
import { constantText, isScalar, satisfies } from "./literal-values.ts";
import { mergeSchemas } from "./merge-schemas.ts";
import { integerRange, isUnbounded, numberRange } from "./number-range.ts";
import { type ObjectMember, type ObjectMembers, objectMembers } from "./object-members.ts";
import { objectText } from "./object-text.ts";
import { RuleNesting } from "./rule-nesting.ts";
import { SchemaAlternatives } from "./schema-alternatives.ts";
import { keyOf } from "./schema-key.ts";
import type { JsonSchema } from "./schema-keywords.ts";
import { stringText, type TextSpelling } from "./string-text.ts";
import type { ValueText, ValueWriter } from "./value-text.ts";

/** An array, or an object with its members. */
type Composite =
  | { type: "array"; flat: FlatSchema }
  | { type: "object"; flat: FlatSchema; members: ObjectMembers };

const JSON_SPELLING: TextSpelling = { character: jsonText.character, set: jsonSpelledSet };
const TELL_APART = "Put a property first that differs: a const for each";

/**
 * Writes the rules of the values of one schema document (drafts 7 and 2020-12). Every text they allow is a valid
 * value. Members come in the order the schema declares them; blanks are free within bounds.
 *
 * All methods throw QuernError `invalid_request` for what can't be enforced, naming the keyword and its path.
 */
export class SchemaRules implements ValueWriter {
  readonly rules: GrammarRules;
  readonly alternatives: SchemaAlternatives;
  readonly #nesting = new RuleNesting<ValueText>();

  /** `param`: the request's field, and `at`: the document's place in it, for errors. */
  constructor(rules: GrammarRules, root: JsonSchema, param: string, at = "#") {
    this.rules = rules;
    this.alternatives = new SchemaAlternatives(rules, root, param, at);
  }

  /** One rule for each schema, so that recursion ends and repeats cost nothing. */
  value(schema: JsonSchema, merged = "#"): ValueText {
    const path = this.alternatives.pathOf(schema, merged);
    return this.#rule(keyOf(schema), path, () => this.alternatives.of(schema, path));
  }

  /** The objects among the values. */
  object(schema: JsonSchema): ValueText {
    const path = this.alternatives.pathOf(schema, "#");
    return this.#rule(`object ${keyOf(schema)}`, path, () => this.#objects(schema, path));
  }

  /** The members of the one kind of object that a schema allows. */
  members(schema: JsonSchema): readonly ObjectMember[] {
    const path = this.alternatives.pathOf(schema, "#");
    const [flat, second] = this.#objects(schema, path);
    if (second !== undefined) {
      this.alternatives.refuse(path, "has alternatives, which this model's form of calls can't express");
    }
    const found = flat === undefined ? null : objectMembers(flat, this.alternatives, path);
    return found?.members ?? this.alternatives.refuse(path, "allows no value");
  }

  /** The strings that a schema allows, without quotes; null: other values too, or strings without bounds. */
  bareText(schema: JsonSchema, merged: string, spelling: TextSpelling): string | null {
    const path = this.alternatives.pathOf(schema, merged);
    const alternatives = this.alternatives.of(schema, path);
    const strings = alternatives
      .flatMap(({ values }) => values ?? [])
      .filter((value) => typeof value === "string");
    if (alternatives.every(({ values }) => values?.every((value) => typeof value === "string"))) {
      return literalTrie(
        this.rules,
        strings.map((text) => ({ text, tail: "" })),
      );
    }
    const [flat, second] = alternatives;
    const types = flat === undefined ? null : allowedTypes(flat);
    if (flat === undefined || second !== undefined || types?.size !== 1 || !types.has("string")) return null;
    const bounds = [flat.minLength, flat.maxLength, flat.pattern, flat.format];
    return bounds.every((bound) => bound === null) ? null : this.#string(flat, path, spelling);
  }

  #objects(schema: JsonSchema, path: string): FlatSchema[] {
    const object: FlatSchema = { ...ANY_SCHEMA, types: new Set(["object"]) };
    const refuse = (keyword: string, problem: string) =>
      this.alternatives.refuse(`${path}/${keyword}`, problem);
    return this.alternatives.of(schema, path).flatMap((flat) => mergeSchemas(flat, object, refuse) ?? []);
  }

  #rule(key: string, path: string, unfold: () => readonly FlatSchema[]): ValueText {
    const known = this.#nesting.find(key);
    if (known === "doubled") {
      this.alternatives.refuse(
        path,
        `repeats itself in alternatives that can't be told apart. ${TELL_APART}`,
      );
    }
    if (known !== null) return known;
    if (this.#nesting.depth > GRAMMAR_LIMITS.nesting) this.alternatives.refuse(path, "is nested too deep");
    const name = this.rules.reserve("value");
    this.#nesting.open(key, { text: name, nested: 1, parallel: 1 });
    const body = this.#anyOf(unfold(), path) ?? this.alternatives.refuse(path, "allows no value");
    if (body.nested > GRAMMAR_LIMITS.nestedRepetitions) {
      this.alternatives.refuse(
        path,
        `allows more than ${GRAMMAR_LIMITS.nestedRepetitions} items or characters`,
      );
    }
    this.rules.define(name, body.text);
    return this.#nesting.close({ ...body, text: name });
  }

  #anyOf(alternatives: readonly FlatSchema[], path: string): ValueText | null {
    const literals = new Set<string>();
    const texts = new Set<string>();
    const composites: Composite[] = [];
    for (const flat of alternatives) {
      const types = allowedTypes(flat);
      for (const value of flat.values?.filter((given) => satisfies(flat, given)) ?? []) {
        if (isScalar(value)) literals.add(JSON.stringify(value));
        else texts.add(constantText(this.rules, value));
      }
      if (flat.values !== null) continue;
      if (types === null) return { text: jsonText.value(this.rules), nested: 1, parallel: 1 };
      for (const type of types) {
        if (type === "array") composites.push({ type, flat });
        else if (type === "object") {
          const members = objectMembers(flat, this.alternatives, path);
          if (members !== null) composites.push({ type, flat, members });
        } else if (type === "null") literals.add("null");
        else if (type === "boolean") literals.add("true").add("false");
        else texts.add((type === "string" ? this.#quoted(flat, path) : this.#number(type, flat, path)) ?? "");
      }
    }
    if (literals.size > GRAMMAR_LIMITS.literals) {
      this.alternatives.refuse(path, `has more than ${GRAMMAR_LIMITS.literals} values`);
    }
    if (literals.size > 0) {
      texts.add(
        literalTrie(
          this.rules,
          Array.from(literals, (text) => ({ text, tail: "" })),
        ),
      );
    }
    const { parts, parallel } = this.#composites(composites, path);
    for (const { text } of parts) texts.add(text);
    texts.delete("");
    if (texts.size === 0) return null;
    const lengths = alternatives.map(({ maxLength }) => maxLength ?? 1);
    return {
      text: [...texts].join(" | "),
      nested: Math.max(1, ...lengths, ...parts.map(({ nested }) => nested)),
      parallel,
    };
  }

  #quoted(flat: FlatSchema, path: string): string | null {
    const text = this.#string(flat, path, JSON_SPELLING);
    return text === null ? null : `"\\"" ${text} "\\""`;
  }

  #string(flat: FlatSchema, path: string, spelling: TextSpelling): string | null {
    return stringText(this.rules, flat, spelling, (keyword, problem) =>
      this.alternatives.refuse(`${path}/${keyword}`, problem),
    );
  }

  #number(type: "number" | "integer", flat: FlatSchema, path: string): string | null {
    if (isUnbounded(flat)) return jsonText[type](this.rules);
    try {
      const range = type === "integer" ? integerRange(flat) : numberRange(flat);
      return range === null ? null : this.rules.add("range", range);
    } catch (error) {
      if (error instanceof RangeError) return this.alternatives.refuse(path, error.message);
      throw error;
    }
  }

  /**
   * Objects and arrays. Those that part early are read one at a time; the others side by side, with all that is within
   * them.
   */
  #composites(composites: readonly Composite[], path: string): { parts: ValueText[]; parallel: number } {
    const parts: ValueText[] = [];
    const groups = this.#sideBySide(composites, path);
    let parallel = Math.max(1, groups.length);
    for (const group of groups) {
      this.#nesting.doubled = group.length > 1;
      const written = group.flatMap((composite) => {
        if (composite.type === "object") return objectText(this, composite.members, path);
        return arrayText(this, composite.flat, path) ?? [];
      });
      this.#nesting.doubled = false;
      parts.push(...written);
      parallel = Math.max(
        parallel,
        written.reduce((sum, part) => sum + part.parallel, 0),
      );
    }
    if (parallel > GRAMMAR_LIMITS.parallelReadings) this.#refuseParallel(path);
    return { parts, parallel };
  }

  #sideBySide(composites: readonly Composite[], path: string): Composite[][] {
    if (composites.length > GRAMMAR_LIMITS.parallelReadings) this.#refuseParallel(path);
    let groups: Composite[][] = [];
    for (const composite of composites) {
      const joined = groups.filter((group) => group.some((other) => this.#areReadTogether(composite, other)));
      groups = [...groups.filter((group) => !joined.includes(group)), [...joined.flat(), composite]];
    }
    return groups;
  }

  #areReadTogether(a: Composite, b: Composite): boolean {
    if (a.type === "array" || b.type === "array") return a.type === b.type;
    return !partEarly(a.members, b.members, this.alternatives);
  }

  #refuseParallel(path: string): never {
    return this.alternatives.refuse(
      path,
      `has too many alternatives that can't be told apart. ${TELL_APART}`,
    );
  }
}
