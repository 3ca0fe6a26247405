import { expect, test } from "vitest";
import { parseBatchLine } from "./batch-line.ts";

const line = { custom_id: "a", method: "POST", url: "/v1/chat/completions", body: { model: "tiny" } };

test("a line is read, and what it does not know is passed over", () => {
  expect(parseBatchLine(JSON.stringify({ ...line, priority: 1 }))).toEqual({ line });
});

test.each([
  ["{", "invalid_json_line", null],
  ["", "invalid_json_line", null],
  ["[]", "invalid_request_line", null],
  ["null", "invalid_request_line", null],
  [JSON.stringify({ ...line, custom_id: undefined }), "invalid_request_line", "custom_id"],
  [JSON.stringify({ ...line, custom_id: 7 }), "invalid_request_line", "custom_id"],
  [JSON.stringify({ ...line, custom_id: "" }), "invalid_request_line", "custom_id"],
  [JSON.stringify({ ...line, custom_id: "x".repeat(513) }), "invalid_request_line", "custom_id"],
  [JSON.stringify({ ...line, custom_id: "half \ud83d" }), "invalid_request_line", "custom_id"],
  [JSON.stringify({ ...line, method: "GET" }), "invalid_request_line", "method"],
  [JSON.stringify({ ...line, url: undefined }), "invalid_request_line", "url"],
  [JSON.stringify({ ...line, body: [] }), "invalid_request_line", "body"],
  [JSON.stringify({ ...line, body: "text" }), "invalid_request_line", "body"],
])("%s is at fault: %s, %s", (json, code, param) => {
  expect(parseBatchLine(json)).toMatchObject({ fault: { code, param } });
});

test("what a fault says names the cure, and quotes nothing of the line", () => {
  const secret = "the secret";
  const faults = [`{"custom_id": "${secret}`, JSON.stringify({ ...line, method: secret })].map(
    parseBatchLine,
  );
  expect(JSON.stringify(faults)).not.toContain(secret);
  expect(faults[1]).toMatchObject({ fault: { message: '`method` must be "POST".' } });
});
