import { QuernError } from "@quern/shared/contract/errors";
import { expect, test } from "vitest";
import { admitWebhook, type WebhookRules } from "./admit-webhook.ts";

const STRICT: WebhookRules = { tenantSecrets: "none", privateReceivers: "refused" };
const OPEN: WebhookRules = { tenantSecrets: "set", privateReceivers: "allowed" };
const secret = `whsec_${Buffer.alloc(32, 1).toString("base64")}`;
const url = "https://example.com/hook?job=7";

test("a webhook is a public address and a secret, its own or the tenant's", () => {
  expect(admitWebhook({ url, secret }, STRICT)).toEqual({ url, secret });
  expect(admitWebhook({ url }, OPEN)).toEqual({ url, secret: null });
  expect(admitWebhook({ url: "http://127.0.0.1:9000/hook" }, OPEN)?.url).toBe("http://127.0.0.1:9000/hook");
  expect(admitWebhook(null, STRICT)).toBeNull();
  expect(admitWebhook(undefined, STRICT)).toBeNull();
});

test.each([
  ["example.com/hook", "webhook.url", /https:\/\/example/],
  ["ftp://example.com/hook", "webhook.url", /http/],
  ["file:///etc/passwd", "webhook.url", /http/],
  ["https://user:hunter2@example.com/", "webhook.url", /signed/],
  ["http://127.0.0.1/", "webhook.url", /QUERN_WEBHOOK_ALLOW_PRIVATE/],
  ["http://0x7f000001/", "webhook.url", /QUERN_WEBHOOK_ALLOW_PRIVATE/],
  ["http://[::ffff:169.254.169.254]/", "webhook.url", /QUERN_WEBHOOK_ALLOW_PRIVATE/],
  ["http://10.0.0.7:8080/", "webhook.url", /QUERN_WEBHOOK_ALLOW_PRIVATE/],
])("%s is refused, with the cure", (bad, param, cure) => {
  const error = faultOf(() => admitWebhook({ url: bad, secret }, STRICT));
  expect(error).toMatchObject({ code: "invalid_request", param });
  expect(error.message).toMatch(cure);
  expect(error.message).not.toContain("hunter2");
});

test("a webhook that nobody could sign is refused", () => {
  const error = faultOf(() => admitWebhook({ url }, STRICT));
  expect(error).toMatchObject({ code: "invalid_request", param: "webhook.secret" });
  expect(error.message).toContain("openssl rand");
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
