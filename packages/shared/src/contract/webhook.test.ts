import { expect, test } from "vitest";
import { webhookSecretListSchema, webhookSecretSchema } from "./webhook.ts";

const secretOf = (bytes: number) => `whsec_${Buffer.alloc(bytes, 7).toString("base64")}`;

test.each([24, 25, 26, 32, 63, 64])("a secret may have %i bytes", (bytes) => {
  expect(webhookSecretSchema.safeParse(secretOf(bytes)).success).toBe(true);
});

test.each([
  ["too short", secretOf(23)],
  ["too long", secretOf(65)],
  ["without its prefix", secretOf(32).slice(6)],
  ["base64 of URLs", `whsec_${"-_".repeat(20)}`],
  ["cut off", secretOf(32).slice(0, -2)],
  ["empty", ""],
])("a secret is refused: %s", (_why, secret) => {
  expect(webhookSecretSchema.safeParse(secret).success).toBe(false);
});

test("several secrets stand in a list, whose faults are told without them", () => {
  const [first, second] = [secretOf(24), secretOf(32)];
  expect(webhookSecretListSchema.parse(`${first}, ${second}`)).toEqual([first, second]);
  const refused = webhookSecretListSchema.safeParse(`${first},hunter2`);
  expect(refused.success).toBe(false);
  expect(JSON.stringify(refused.error?.issues)).not.toMatch(/hunter2|whsec_B/);
});
