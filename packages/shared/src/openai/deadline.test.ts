import { expect, test } from "vitest";
import { QuernError } from "../contract/errors.ts";
import { deadlineWishOf, deadlineWishOfHeader, toDeadlineAtMs } from "./deadline.ts";
import { parseOrRefuse } from "./first-fault.ts";
import { jobBodySchema } from "./job-requests.ts";

const NOW_MS = Date.parse("2026-01-31T18:00:00Z");
const body = { endpoint: "/v1/chat/completions", body: { model: "m" } };

function deadlineOf(fields: object): number | null {
  return toDeadlineAtMs(deadlineWishOf(parseOrRefuse(jobBodySchema, { ...body, ...fields })), NOW_MS);
}

test.each([
  [{}, null],
  [{ deadline: null, ttl_seconds: null }, null],
  [{ ttl_seconds: 0.5 }, NOW_MS + 500],
  [{ ttl_seconds: 30 * 86_400 }, NOW_MS + 30 * 86_400_000],
  [{ deadline: "2026-01-31T18:00:01Z" }, NOW_MS + 1_000],
  [{ deadline: "2026-01-31T19:00:00.250+00:30" }, NOW_MS + 1_800_250],
  [{ deadline: NOW_MS / 1_000 + 2.5 }, NOW_MS + 2_500],
])("%o is until %s", (fields, deadlineAtMs) => {
  expect(deadlineOf(fields)).toBe(deadlineAtMs);
});

test.each([
  [{ ttl_seconds: 0 }, "ttl_seconds"],
  [{ ttl_seconds: -1 }, "ttl_seconds"],
  [{ ttl_seconds: "60" }, "ttl_seconds"],
  [{ ttl_seconds: 30 * 86_400 + 1 }, "ttl_seconds"],
  [{ deadline: "tomorrow" }, "deadline"],
  [{ deadline: "2026-01-31T18:00:01" }, "deadline"],
  [{ deadline: "2026-02-30T18:00:00Z" }, "deadline"],
  [{ deadline: "2026-01-31T18:00:00Z" }, "deadline"],
  [{ deadline: 1 }, "deadline"],
  // Milliseconds, where seconds are asked for.
  [{ deadline: NOW_MS + 60_000 }, "deadline"],
  [{ deadline: "2026-01-31T18:00:01Z", ttl_seconds: 5 }, "ttl_seconds"],
])("%o is refused by the name of its field", (fields, param) => {
  expect(() => deadlineOf(fields)).toThrow(expect.objectContaining({ code: "invalid_request", param }));
});

test("the header takes seconds, and nothing else", () => {
  expect(deadlineWishOfHeader(undefined)).toBeNull();
  expect(deadlineWishOfHeader("2.5")).toEqual({ ttlMs: 2_500 });
  for (const value of ["", " ", "0", "-1", "soon", "Infinity", "1,2", "2592001"]) {
    expect(() => deadlineWishOfHeader(value), value).toThrow(QuernError);
  }
});
