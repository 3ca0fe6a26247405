import { expect, test } from "vitest";
import type { Endpoint } from "../contract/job.ts";
import { chatChunks } from "./chat-chunks.ts";
import { parseEndpointRequest } from "./endpoint-request.ts";

const BODIES: Record<Endpoint, object> = {
  "/v1/chat/completions": { model: "m", messages: [{ role: "user", content: "Hi" }] },
  "/v1/completions": { model: "m", prompt: "Hi" },
  "/v1/embeddings": { model: "m", input: "Hi" },
  "/v1/responses": { model: "m", input: "Hi" },
};
const ENDPOINT_NAMES = Object.keys(BODIES) as Endpoint[];

function classOf(endpoint: Endpoint, tier: object): string {
  return parseEndpointRequest(endpoint, { ...BODIES[endpoint], ...tier }, { drawSeed: () => 1 }).class;
}

test.each(ENDPOINT_NAMES)("%s: flex is the batch class, every other tier the interactive one", (endpoint) => {
  expect(classOf(endpoint, { service_tier: "flex" })).toBe("batch");
  for (const tier of ["auto", "default", "priority", "scale", null]) {
    expect(classOf(endpoint, { service_tier: tier })).toBe("interactive");
  }
  expect(classOf(endpoint, {})).toBe("interactive");
  expect(() => classOf(endpoint, { service_tier: "cheap" })).toThrow(/service_tier/);
});

test("every chunk of a chat reports the tier that was used", () => {
  const chunks = chatChunks({
    jobId: "job_1",
    model: "m",
    class: "batch",
    createdAtMs: 0,
    choices: 1,
    includeUsage: false,
  });
  const made = chunks.next({ type: "start", data: { attempt: 1 } });
  expect(made).toMatchObject([{ service_tier: "flex" }]);
});
