import { expect, test } from "vitest";
import { fileListQuerySchema, uploadFieldsSchema } from "./file-requests.ts";
import { parseOrRefuse } from "./first-fault.ts";

const read = (fields: unknown) => parseOrRefuse(uploadFieldsSchema, fields);

test("what the form says, its numbers as text", () => {
  expect(read({ purpose: "batch" })).toEqual({ purpose: "batch" });
  expect(read({ purpose: "batch", expires_after: { anchor: "created_at", seconds: "3600" } })).toEqual({
    purpose: "batch",
    expires_after: { anchor: "created_at", seconds: 3_600 },
  });
});

test.each([
  [{}, "purpose", /purpose: is missing: send 'batch'/],
  [{ purpose: "fine-tune" }, "purpose", /must be 'batch'/],
  [
    { purpose: "batch", expires_after: { anchor: "now", seconds: "3600" } },
    "expires_after.anchor",
    /created_at/,
  ],
  [
    { purpose: "batch", expires_after: { anchor: "created_at", seconds: "60" } },
    "expires_after.seconds",
    /3600/,
  ],
  [
    { purpose: "batch", expires_after: { anchor: "created_at", seconds: "x" } },
    "expires_after.seconds",
    /number/,
  ],
  [{ purpose: "batch", color: "blue" }, "color", /unknown parameter: color/],
])("%j is refused by name", (fields, param, message) => {
  expect(() => read(fields)).toThrow(message);
  expect(() => read(fields)).toThrow(expect.objectContaining({ code: "invalid_request", param }));
});

test("a list has OpenAI's bounds", () => {
  expect(parseOrRefuse(fileListQuerySchema, {})).toEqual({ limit: 10_000, order: "desc" });
  expect(() => parseOrRefuse(fileListQuerySchema, { limit: "10001" })).toThrow(/limit/);
  expect(() => parseOrRefuse(fileListQuerySchema, { purpose: "assistants" })).toThrow(/purpose/);
});
