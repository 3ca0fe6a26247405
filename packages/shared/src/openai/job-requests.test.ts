import { expect, test } from "vitest";
import { QuernError } from "../contract/errors.ts";
import { parseOrRefuse } from "./first-fault.ts";
import { jobBodySchema, jobListQuerySchema, jobQuerySchema } from "./job-requests.ts";

const body = { endpoint: "/v1/chat/completions", body: { model: "m" } };

test("metadata may be left out", () => {
  expect(parseOrRefuse(jobBodySchema, body)).toEqual({ ...body, metadata: {} });
  expect(parseOrRefuse(jobBodySchema, { ...body, metadata: null })).toEqual({ ...body, metadata: {} });
});

test.each([
  [{}, "endpoint"],
  [{ ...body, endpoint: "/v1/images/generations" }, "endpoint"],
  [{ ...body, body: "{}" }, "body"],
  [{ ...body, metadata: { a: 1 } }, "metadata.a"],
  [{ ...body, metadata: { a: "x".repeat(513) } }, "metadata.a"],
  [{ ...body, metadata: { ["k".repeat(65)]: "x" } }, `metadata.${"k".repeat(65)}`],
  [
    { ...body, metadata: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`k${i}`, "x"])) },
    "metadata",
  ],
  [{ ...body, priority: 1 }, "priority"],
  [{ ...body, webhook: {} }, "webhook.url"],
  [{ ...body, webhook: { url: "https://example.com", secret: "hunter2" } }, "webhook.secret"],
  [{ ...body, webhook: { url: "https://example.com", headers: {} } }, "webhook.headers"],
])("a job body at fault is refused by the name of its field: %#", (bad, param) => {
  expect(faultOf(() => parseOrRefuse(jobBodySchema, bad))).toMatchObject({ code: "invalid_request", param });
});

test("a list's query has defaults, and is text as it stands in an address", () => {
  expect(parseOrRefuse(jobListQuerySchema, {})).toEqual({ limit: 20, order: "desc" });
  expect(
    parseOrRefuse(jobListQuerySchema, { limit: "100", order: "asc", status: "failed", model: "m" }),
  ).toEqual({
    limit: 100,
    order: "asc",
    status: "failed",
    model: "m",
  });
});

test.each([
  [{ limit: "0" }, "limit"],
  [{ limit: "101" }, "limit"],
  [{ limit: "" }, "limit"],
  [{ limit: "ten" }, "limit"],
  [{ limit: ["1", "2"] }, "limit"],
  [{ order: "up" }, "order"],
  [{ status: "done" }, "status"],
  [{ after: ["a", "b"] }, "after"],
  [{ before: "x" }, "before"],
])("a list's query at fault is refused: %o", (query, param) => {
  expect(faultOf(() => parseOrRefuse(jobListQuerySchema, query))).toMatchObject({ param });
});

test.each([["-1"], ["soon"], ["Infinity"]])("nobody can wait %s seconds", (wait) => {
  expect(faultOf(() => parseOrRefuse(jobQuerySchema, { wait }))).toMatchObject({ param: "wait" });
});

function faultOf(act: () => unknown): QuernError {
  try {
    act();
  } catch (error) {
    if (error instanceof QuernError) return error;
    throw error;
  }
  throw new Error("it was accepted");
}
