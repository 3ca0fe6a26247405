import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

/**
 * Addresses of a cloud's own services that stand in a public range. Azure's host answers on this one
 * (https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16).
 */
const CLOUD_INTERNAL = new Set(["168.63.129.16"]);

/**
 * Whether an IP address is one of the public internet. All others are not: loopback, private, link-local (where clouds
 * keep their metadata), carrier-grade NAT, multicast, reserved, and every IPv6 form that wraps an IPv4 address, since
 * what it leads to depends on the network (mapped, NAT64, 6to4, Teredo).
 * @throws RangeError when it is no address.
 */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 0) throw new RangeError("not an IP address");
  return ipaddr.parse(address).range() === "unicast" && !CLOUD_INTERNAL.has(address);
}

/** The address that a URL names itself, without a name to be resolved; null: it has a name. */
export function literalAddressOf(url: URL): string | null {
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  return isIP(host) === 0 ? null : host;
}
