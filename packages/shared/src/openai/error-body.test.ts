import { expect, test } from "vitest";
import { QuernError } from "../contract/errors.ts";
import { httpStatusOf, toErrorBody } from "./error-body.ts";

test("an error in OpenAI's shape", () => {
  const error = new QuernError("model_not_found", "no such model", { param: "model" });
  expect(toErrorBody(error)).toEqual({
    error: {
      message: "no such model",
      type: "invalid_request_error",
      param: "model",
      code: "model_not_found",
    },
  });
  expect(toErrorBody(new QuernError("redis_unavailable", "away")).error).toMatchObject({
    type: "server_error",
    param: null,
  });
  expect(toErrorBody(new QuernError("forbidden", "no")).error.type).toBe("permission_error");
});

test("what a client should try again has a status that its client library tries again, and no other fault of the caller's", () => {
  expect(["redis_unavailable", "model_unavailable", "draining"].map(httpStatusOf)).toEqual([503, 503, 503]);
  const triedAgain = [408, 409, 429];
  for (const code of ["invalid_request", "body_too_large", "context_length_exceeded", "job_cancelled"]) {
    expect(triedAgain).not.toContain(httpStatusOf(code));
    expect(httpStatusOf(code)).toBeLessThan(500);
  }
});

test("a code that is none of ours is an internal error", () => {
  expect(httpStatusOf("from_a_newer_version")).toBe(500);
  expect(httpStatusOf("toString")).toBe(500);
});
