import { expect, test } from "vitest";
import { QuernError } from "./errors.ts";

test("an error knows whether the same thing may work later", () => {
  expect(new QuernError("redis_unavailable", "away").retryable).toBe(true);
  expect(new QuernError("invalid_request", "no").retryable).toBe(false);
  expect(new QuernError("engine_crashed", "it died three times").retryable).toBe(false);
});

test("what is not given is null, and a cause is kept", () => {
  const cause = new Error("why");
  const error = new QuernError("internal_error", "broken", { cause });
  expect(error).toMatchObject({ name: "QuernError", param: null, retryAfterSeconds: null });
  expect(error.cause).toBe(cause);
  expect("cause" in new QuernError("internal_error", "broken")).toBe(false);
});
