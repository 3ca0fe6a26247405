import { QuernError } from "@quern/shared/contract/errors";
import type { WebhookTarget } from "@quern/shared/contract/webhook";
import { WEBHOOK_SECRET_FORM } from "@quern/shared/contract/webhook";
import { isPublicAddress, literalAddressOf } from "@quern/shared/webhook/public-address";

export interface WebhookRules {
  /** Whether the operator has set secrets that sign for jobs without one of their own. */
  tenantSecrets: "set" | "none";
  /** `allowed`: receivers may stand in this network, or on this machine. */
  privateReceivers: "allowed" | "refused";
}

/**
 * Whether a webhook can be delivered and trusted, as far as that is known before its name is resolved: the scheduler
 * looks at the address that the name leads to, each time.
 * @throws QuernError `invalid_request`. Its message shows neither the URL, which may hold a password, nor the secret.
 */
export function admitWebhook(
  wish: { url: string; secret?: string | null | undefined } | null | undefined,
  rules: WebhookRules,
): WebhookTarget | null {
  if (wish == null) return null;
  const url = URL.parse(wish.url);
  if (url === null) throw refused("is not a URL: send one such as https://example.com/hooks/quern");
  if (url.protocol !== "https:" && url.protocol !== "http:")
    throw refused("must begin with https:// or http://");
  if (url.username !== "" || url.password !== "") {
    throw refused("must not hold a user or a password: deliveries are signed, which your receiver can check");
  }
  const address = literalAddressOf(url);
  if (address !== null && rules.privateReceivers === "refused" && !isPublicAddress(address)) {
    throw refused(
      "names an address that is not of the public internet: use a public one, " +
        "or have the operator set QUERN_WEBHOOK_ALLOW_PRIVATE=true",
    );
  }
  const secret = wish.secret ?? null;
  if (secret === null && rules.tenantSecrets === "none") {
    throw new QuernError(
      "invalid_request",
      `webhook.secret is missing, and no QUERN_WEBHOOK_SECRET is set that could sign instead: send ${WEBHOOK_SECRET_FORM}`,
      { param: "webhook.secret" },
    );
  }
  return { url: url.href, secret };
}

function refused(why: string): QuernError {
  return new QuernError("invalid_request", `webhook.url ${why}`, { param: "webhook.url" });
}
