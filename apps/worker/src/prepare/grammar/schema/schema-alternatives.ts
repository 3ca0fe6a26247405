import { isDeepStrictEqual } from "node:util";
import { pointedAt, referenceSteps } from "@quern/shared/contract/schema-reference";
import { GRAMMAR_LIMITS, unsupportedSchema } from "../gbnf/grammar-limits.ts";
import type { GrammarRules } from "../gbnf/grammar-rules.ts";
import { ANY_SCHEMA, type FlatSchema, toFlatSchema } from "./flat-schema.ts";
import { allowedConstants } from "./literal-values.ts";
import { mergeSchemas } from "./merge-schemas.ts";
import { keyOf } from "./schema-key.ts";
import { type JsonSchema, readKeywords } from "./schema-keywords.ts";
import { schemaPaths } from "./schema-paths.ts";

/**
 * Unfolds schemas of one document into alternatives: references followed, `allOf` merged, `anyOf` and `oneOf` spread.
 * `oneOf` counts as `anyOf`: that no second branch fits is for the branches to ensure.
 */
export class SchemaAlternatives {
  readonly #rules: Pick<GrammarRules, "countUnfolded">;
  readonly #root: JsonSchema;
  readonly #param: string;
  readonly #paths: ReadonlyMap<object, string>;
  readonly #known = new Map<string, readonly FlatSchema[]>();
  readonly #open = new Set<string>();

  /** `param`: the request's field, and `at`: the document's place in it, for errors. */
  constructor(rules: Pick<GrammarRules, "countUnfolded">, root: JsonSchema, param: string, at: string) {
    this.#rules = rules;
    this.#root = root;
    this.#param = param;
    const paths = schemaPaths(root, at);
    if (paths === null) this.refuse(at, "is nested too deep");
    this.#paths = paths;
    if (keyOf(root).length > GRAMMAR_LIMITS.textCharacters) {
      this.refuse(at, `has more than ${GRAMMAR_LIMITS.textCharacters} characters`);
    }
  }

  /** Where the schema stands in the document; `merged` when it was made of others on the way. */
  pathOf(schema: JsonSchema, merged: string): string {
    return typeof schema === "boolean" ? merged : (this.#paths.get(schema) ?? merged);
  }

  /** Empty: nothing satisfies the schema. */
  of(schema: JsonSchema, merged: string): readonly FlatSchema[] {
    if (schema === true) return [ANY_SCHEMA];
    if (schema === false) return [];
    const path = this.pathOf(schema, merged);
    const key = keyOf(schema);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#open.has(key)) this.refuse(path, "refers to itself with nothing between");
    if (this.#open.size > GRAMMAR_LIMITS.nesting) this.refuse(path, "is nested too deep");
    this.#rules.countUnfolded(1, key.length);
    this.#open.add(key);
    const alternatives = this.#unfold(schema, path);
    this.#open.delete(key);
    this.#known.set(key, alternatives);
    return alternatives;
  }

  refuse(path: string, problem: string): never {
    throw unsupportedSchema(this.#param, path, problem);
  }

  #unfold(schema: { readonly [keyword: string]: unknown }, path: string): readonly FlatSchema[] {
    const refuse = (keyword: string, problem: string) => this.refuse(`${path}/${keyword}`, problem);
    const keywords = readKeywords(schema, refuse);
    const { $ref, allOf = [], anyOf, oneOf, propertyNames } = keywords;
    const own = toFlatSchema(keywords, refuse);
    const names = propertyNames === undefined ? null : this.#namesIn(propertyNames, `${path}/propertyNames`);
    const demands: (readonly FlatSchema[])[] = [[names === null ? own : onlyNamed(own, names)]];
    if ($ref !== undefined) demands.push(this.#referred($ref, `${path}/$ref`));
    for (const [at, branch] of allOf.entries()) demands.push(this.of(branch, `${path}/allOf/${at}`));
    for (const [keyword, branches] of Object.entries({ anyOf, oneOf })) {
      if (branches === undefined) continue;
      demands.push(branches.flatMap((branch, at) => this.of(branch, `${path}/${keyword}/${at}`)));
    }
    const merged = demands.reduce((before, demand) => this.#both(before, demand, path));
    return merged.map((flat) => ({
      ...flat,
      additional: flat.additional ?? keywords.unevaluatedProperties ?? null,
      items: flat.items ?? keywords.unevaluatedItems ?? null,
    }));
  }

  /** The names that a schema lists; null: any name will do. */
  #namesIn(schema: JsonSchema, path: string): string[] | null {
    const alternatives = this.of(schema, path);
    const refuse = (keyword: string, problem: string) => this.refuse(`${path}/${keyword}`, problem);
    const listed = alternatives.map((flat) => allowedConstants(flat, refuse));
    if (!listed.includes(null)) {
      return listed.flatMap((values) => values?.filter((value) => typeof value === "string") ?? []);
    }
    const anyName: FlatSchema = { ...ANY_SCHEMA, types: new Set(["string"]) };
    if (alternatives.some((flat) => flat === ANY_SCHEMA || isDeepStrictEqual(flat, anyName))) return null;
    this.refuse(path, 'can be {"type": "string"} or a list of names only');
  }

  #referred(reference: string, path: string): readonly FlatSchema[] {
    const steps = referenceSteps(reference);
    const target = steps === null ? undefined : pointedAt(this.#root, steps);
    if (typeof target === "boolean") return this.of(target, path);
    if (typeof target !== "object" || target === null) this.refuse(path, `points at nothing: ${reference}`);
    return this.of(target as JsonSchema, reference);
  }

  #both(a: readonly FlatSchema[], b: readonly FlatSchema[], path: string): FlatSchema[] {
    this.#rules.countUnfolded(a.length * b.length, 0);
    const refuse = (keyword: string, problem: string) => this.refuse(`${path}/${keyword}`, problem);
    return a.flatMap((one) => b.flatMap((other) => mergeSchemas(one, other, refuse) ?? []));
  }
}

function onlyNamed(flat: FlatSchema, names: readonly string[]): FlatSchema {
  const properties = names.map((name): [string, JsonSchema] => [
    name,
    flat.properties.get(name) ?? flat.additional ?? true,
  ]);
  return { ...flat, properties: new Map(properties), names: "declared", additional: false };
}
