import { GRAMMAR_LIMITS } from "../gbnf/grammar-limits.ts";
import type { GrammarRules } from "../gbnf/grammar-rules.ts";
import { type Composite, readTogether } from "./alternatives-apart.ts";
import { arrayText } from "./array-text.ts";
import { boundedStrings } from "./bare-strings.ts";
import { ANY_SCHEMA, allowedTypes, type FlatSchema } from "./flat-schema.ts";
import { jsonText } from "./json-text.ts";
import { allowedConstants, constantText, isScalar } from "./literal-values.ts";
import { mergeSchemas } from "./merge-schemas.ts";
import { type ObjectMember, objectMembers } from "./object-members.ts";
import { objectText } from "./object-text.ts";
import { RuleNesting } from "./rule-nesting.ts";
import { scalarTexts } from "./scalar-text.ts";
import { SchemaAlternatives } from "./schema-alternatives.ts";
import { keyOf } from "./schema-key.ts";
import type { JsonSchema } from "./schema-keywords.ts";
import type { TextSpelling } from "./string-text.ts";
import type { ValueText, ValueWriter } from "./value-text.ts";

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

  /** The strings that a schema allows, without quotes; null: strings without bounds are among them. */
  bareText(schema: JsonSchema, merged: string, spelling: TextSpelling): string | null {
    const path = this.alternatives.pathOf(schema, merged);
    const refuse = (keyword: string, problem: string) =>
      this.alternatives.refuse(`${path}/${keyword}`, problem);
    const bounded = boundedStrings(this.rules, this.alternatives.of(schema, path), spelling, refuse);
    if (bounded === null) return null;
    if (bounded.length === 0) this.alternatives.refuse(path, "allows no text");
    if (bounded.reduce((sum, { parallel }) => sum + parallel, 0) > GRAMMAR_LIMITS.parallelReadings) {
      this.#refuseParallel(path);
    }
    return this.rules.add("bare-text", bounded.map(({ text }) => text).join(" | "));
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
    if (alternatives.some((flat) => flat.values === null && allowedTypes(flat) === null)) {
      return { text: jsonText.value(this.rules), nested: 1, parallel: 1 };
    }
    const refuse = (keyword: string, problem: string) =>
      this.alternatives.refuse(`${path}/${keyword}`, problem);
    const scalars = scalarTexts(this.rules, alternatives, refuse);
    const constants = alternatives
      .flatMap((flat) => allowedConstants(flat, refuse) ?? [])
      .filter((value) => !isScalar(value))
      .map((value) => constantText(this.rules, value));
    const { parts, parallel } = this.#composites(this.#compositesAmong(alternatives, path), path);
    const texts = new Set([...constants, ...[...scalars, ...parts].map(({ text }) => text)]);
    if (texts.size === 0) return null;
    const readings = [
      scalars.reduce((sum, scalar) => sum + scalar.parallel, 0),
      new Set(constants).size + parallel,
    ];
    if (Math.max(...readings) > GRAMMAR_LIMITS.parallelReadings) this.#refuseParallel(path);
    return {
      text: [...texts].join(" | "),
      nested: Math.max(1, ...[...scalars, ...parts].map(({ nested }) => nested)),
      parallel: Math.max(...readings),
    };
  }

  #compositesAmong(alternatives: readonly FlatSchema[], path: string): Composite[] {
    return alternatives
      .filter(({ values }) => values === null)
      .flatMap((flat) => {
        const types = allowedTypes(flat);
        const members = types?.has("object") ? objectMembers(flat, this.alternatives, path) : null;
        return [
          ...(types?.has("array") ? [{ type: "array" as const, flat }] : []),
          ...(members === null ? [] : [{ type: "object" as const, flat, members }]),
        ];
      });
  }

  /**
   * Objects and arrays. Those that part early are read one at a time; the others side by side, with all that is within
   * them.
   */
  #composites(composites: readonly Composite[], path: string): { parts: ValueText[]; parallel: number } {
    const parts: ValueText[] = [];
    if (composites.length > GRAMMAR_LIMITS.parallelReadings) this.#refuseParallel(path);
    const groups = readTogether(composites, this.alternatives);
    let parallel = groups.length;
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
    return { parts, parallel };
  }

  #refuseParallel(path: string): never {
    return this.alternatives.refuse(
      path,
      `has too many alternatives that can't be told apart. ${TELL_APART}`,
    );
  }
}
