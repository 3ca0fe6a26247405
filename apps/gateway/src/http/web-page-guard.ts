import { QuernError } from "@quern/shared/contract/errors";
import type { RequestHandler } from "express";
import { isIpAddress, isLoopbackName, parseHost } from "./host-names.ts";

/** What a gateway without API keys may be called, besides the names of the loopback. */
export interface HostPolicy {
  /** Lower-case names that are its operator's: requests may name them, and pages from there may call it. */
  allowedHosts: ReadonlySet<string>;
  /**
   * `container`: other containers reach it too, by its address or a name that only their network knows. A stranger's page can have
   * neither for its own: an address needs no resolver that could lie.
   */
  reachedFrom: "loopback" | "container";
}

/** The service of `docker-compose.yml`, and the host's name inside containers. */
const CONTAINER_NAMES: ReadonlySet<string> = new Set(["gateway", "host.docker.internal"]);

/**
 * Keeps strangers' pages, which a browser on this machine may show, from a gateway without API keys. A page may post here directly:
 * then `Origin` names its site. Or its site's name may resolve to this machine (DNS rebinding): then `Host` names the site.
 */
export function webPageGuard(policy: HostPolicy): RequestHandler {
  return ({ headers: { host, origin } }, _response, next) => {
    if (host !== undefined && !isOurs(host, policy)) throw forbidden("Host", host);
    if (origin !== undefined && !isFriend(origin, host, policy)) throw forbidden("Origin", origin);
    next();
  };
}

function isOurs(host: string, { allowedHosts, reachedFrom }: HostPolicy): boolean {
  const name = parseHost(host)?.name;
  if (name === undefined) return false;
  if (isLoopbackName(name) || allowedHosts.has(name)) return true;
  return reachedFrom === "container" && (isIpAddress(name) || CONTAINER_NAMES.has(name));
}

/** `host` is known to be ours. */
function isFriend(origin: string, host: string | undefined, { allowedHosts }: HostPolicy): boolean {
  const site = parseHost(origin);
  if (site === null) return false;
  if (isLoopbackName(site.name) || allowedHosts.has(site.name)) return true;
  return host !== undefined && parseHost(host)?.nameAndPort === site.nameAndPort;
}

function forbidden(header: "Host" | "Origin", value: string): QuernError {
  return new QuernError(
    "forbidden",
    `without API keys this gateway does not answer web pages of other sites; the ${header} header names '${value}'. ` +
      "If that is a name of yours, add it to QUERN_ALLOWED_HOSTS of the gateway",
  );
}
