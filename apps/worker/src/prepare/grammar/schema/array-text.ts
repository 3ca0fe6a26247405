import type { FlatSchema } from "./flat-schema.ts";
import { jsonText } from "./json-text.ts";
import type { JsonSchema } from "./schema-keywords.ts";
import { composed, type ValueText, type ValueWriter } from "./value-text.ts";

/** How many items follow those of `prefixItems`, and of what schema. */
interface Tail {
  items: JsonSchema;
  least: number;
  /** null: without end. */
  most: number | null;
}

/**
 * The arrays that a schema allows; null: none. All of `prefixItems` are written, as far as `maxItems` lets them; more
 * items only where `items` is given, or `minItems` asks for them.
 */
export function arrayText(writer: ValueWriter, flat: FlatSchema, path: string): ValueText | null {
  const { rules, alternatives } = writer;
  const prefix = flat.prefixItems.slice(0, flat.maxItems ?? undefined);
  const isPossible = (schema: JsonSchema, at: number) =>
    alternatives.of(schema, `${path}/prefixItems/${at}`).length > 0;
  if (!prefix.every(isPossible)) return null;
  const tail = tailOf(writer, flat, prefix.length, path);
  if (tail === null) return null;
  const [blank, comma] = [jsonText.blank(rules), jsonText.comma(rules)];
  const open = `"[" ${blank}`;
  const close = `${blank} "]"`;
  const first = prefix.map((schema, at) => writer.value(schema, `${path}/prefixItems/${at}`));
  const written = first.map(({ text }) => text).join(` ${comma} `);
  if (tail.most === 0) return composed(`${open} ${written} ${close}`, first);

  const item = writer.value(tail.items, `${path}/items`);
  const next = rules.add("item", `${comma} ${item.text}`);
  const times = tail.most ?? Math.max(1, tail.least);
  const values = [...first, { ...item, nested: item.nested * times }];
  if (first.length > 0) {
    return composed(`${open} ${written} ${rules.repeat(next, tail.least, tail.most)} ${close}`, values);
  }
  const more = rules.repeat(next, Math.max(0, tail.least - 1), tail.most === null ? null : tail.most - 1);
  const filled = `${item.text} ${more} ${close}`;
  return composed(`${open} ${tail.least > 0 ? filled : rules.add("items", `${filled} | "]"`)}`, values);
}

/** null: as many as `minItems` wants there can't be. */
function tailOf(
  { alternatives }: ValueWriter,
  flat: FlatSchema,
  prefixed: number,
  path: string,
): Tail | null {
  const least = Math.max(0, (flat.minItems ?? 0) - prefixed);
  const items = flat.items ?? (prefixed === 0 || least > 0);
  const isPossible = alternatives.of(items, `${path}/items`).length > 0;
  const most = isPossible ? (flat.maxItems === null ? null : flat.maxItems - prefixed) : 0;
  return most !== null && least > most ? null : { items, least, most };
}
