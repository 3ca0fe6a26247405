import { WEBHOOK_STATUSES } from "@quern/shared/contract/webhook";

/** What the schemas of replies are put together from. */

export const nullable = (type: string) => ({ type: [type, "null"] });
export const seconds = { type: "number", description: "Unix seconds, milliseconds after the point" };
export const wholeSeconds = { type: "integer", description: "Unix seconds" };
export const nullableSeconds = { ...seconds, type: ["number", "null"] };
export const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });
export const orNull = (schema: object) => ({ anyOf: [schema, { type: "null" }] });

export function object(properties: Record<string, object>, optional: string[] = []) {
  return {
    type: "object",
    properties,
    required: Object.keys(properties).filter((name) => !optional.includes(name)),
  };
}

export function list(item: string, pages: boolean) {
  const page = {
    first_id: nullable("string"),
    last_id: nullable("string"),
    has_more: { type: "boolean" },
  };
  return object({
    object: { const: "list" },
    data: { type: "array", items: ref(item) },
    ...(pages ? page : {}),
  });
}

/** Where an end is told, and how far that is; null: nowhere. */
export const webhook = orNull(
  object({
    url: { type: "string" },
    status: { enum: WEBHOOK_STATUSES },
    attempts: { type: "integer", description: "Deliveries tried so far" },
    last_status_code: { ...nullable("integer"), description: "null: the last attempt got no answer" },
    last_error: nullable("string"),
  }),
);
