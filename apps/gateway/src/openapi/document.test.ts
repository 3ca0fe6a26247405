import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { z } from "zod";
import { openApiDocument } from "./document.ts";

interface Content {
  schema: object;
  example?: unknown;
  examples?: Record<string, { value: unknown }>;
}
interface Operation {
  operationId: string;
  parameters?: { name: string; in: string }[];
  requestBody?: { content: Record<string, Content> };
  responses: Record<string, { $ref?: string; content?: Record<string, Content> }>;
}
interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: {
    schemas: Record<string, object>;
    responses: Record<string, { content: Record<string, Content> }>;
  };
}

// As it is served: what JSON leaves out is not in it.
const document = JSON.parse(JSON.stringify(openApiDocument())) as Document;
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, ...operation })),
);

function textOf(file: string): string {
  return readFileSync(new URL(file, import.meta.url), "utf8");
}

test("docs/openapi.json is this document; write-document.ts writes it anew", () => {
  expect(JSON.parse(textOf("../../../../docs/openapi.json"))).toEqual(document);
});

test("every route of the gateway is described, and no other", () => {
  const routes = [...textOf("../app.ts").matchAll(/app\.(get|post|put|delete|patch)\(\s*"([^"]+)"/g)].map(
    ([, method, path]) => `${method} ${path?.replace(/:(\w+)/g, "{$1}")}`,
  );
  expect(routes.length).toBeGreaterThan(10);
  expect(operations.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(routes.sort());
  expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
});

test("every parameter in a path is described", () => {
  for (const { path, parameters = [] } of operations) {
    const named = parameters.filter((parameter) => parameter.in === "path").map(({ name }) => name);
    expect(named, path).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
  }
});

test("every reference leads somewhere", () => {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(
    ([, path]) => path ?? "",
  );
  expect(references.length).toBeGreaterThan(20);
  for (const reference of references) {
    const target = reference
      .split("/")
      .reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], document);
    expect(target, reference).toBeTypeOf("object");
  }
});

test("every route under /v1 says how it fails", () => {
  for (const { path, responses } of operations.filter(({ path }) => path.startsWith("/v1/"))) {
    expect(Object.keys(responses), path).toContain("503");
  }
});

const examples = [
  ...operations.flatMap(({ operationId, requestBody, responses }) => [
    ...examplesOf(`${operationId} request`, requestBody?.content),
    ...Object.entries(responses).flatMap(([status, { content }]) =>
      examplesOf(`${operationId} ${status}`, content),
    ),
  ]),
  ...Object.entries(document.components.responses).flatMap(([name, { content }]) =>
    examplesOf(name, content),
  ),
];

function examplesOf(where: string, content: Record<string, Content> = {}) {
  const json = content["application/json"];
  if (json === undefined) return [];
  const values = [
    ...("example" in json ? [json.example] : []),
    ...Object.values(json.examples ?? {}).map(({ value }) => value),
  ];
  return values.map((value) => ({ where, schema: json.schema, value }));
}

test.each(examples)("the example of $where fits its schema", ({ schema, value }) => {
  const checked = schemaOf(schema).safeParse(value);
  expect(checked.error?.issues ?? []).toEqual([]);
});

test("requests, answers, and every error have an example", () => {
  const shown = new Set(examples.map(({ where }) => where));
  for (const name of Object.keys(document.components.responses)) expect(shown).toContain(name);
  for (const where of ["createJob request", "createJob 202", "getJob 200", "createChatCompletion 200"]) {
    expect(shown).toContain(where);
  }
});

test("the schemas can refuse", () => {
  const job = schemaOf({ $ref: "#/components/schemas/Job" });
  expect(job.safeParse({ id: "job_1", object: "job" }).success).toBe(false);
  const chat = schemaOf({ $ref: "#/components/schemas/ChatRequest" });
  expect(chat.safeParse({ model: "m", messages: [] }).success).toBe(false);
});

/** The document keeps its schemas where OpenAPI wants them; JSON Schema alone looks under `$defs`. */
function schemaOf(schema: object): z.ZodType {
  const definitions = { ...schema, $defs: document.components.schemas };
  return z.fromJSONSchema(
    JSON.parse(JSON.stringify(definitions).replaceAll("#/components/schemas/", "#/$defs/")),
  );
}
