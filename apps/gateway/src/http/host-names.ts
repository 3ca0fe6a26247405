import { isIP } from "node:net";

/** Whether a host name or address can only mean this machine. */
export function isLoopbackName(host: string): boolean {
  const name = withoutBrackets(host.toLowerCase());
  return (
    name === "localhost" || name.endsWith(".localhost") || name === "::1" || /^127(\.\d{1,3}){3}$/.test(name)
  );
}

/** Takes a host as `parseHost` gives it: an IPv6 address stands in brackets. */
export function isIpAddress(host: string): boolean {
  return isIP(withoutBrackets(host)) !== 0;
}

/** A name without a scheme, port, path or wildcard. */
export function isHostName(text: string): boolean {
  return parseHost(text)?.nameAndPort === text.toLowerCase() && /^[\w.-]+$/.test(text);
}

/** What a `Host` header or an origin names, in lower case; null when it is neither. A scheme's own port is left out. */
export function parseHost(hostOrOrigin: string): { name: string; nameAndPort: string } | null {
  const url = URL.parse(hostOrOrigin.includes("://") ? hostOrOrigin : `http://${hostOrOrigin}`);
  return url === null ? null : { name: url.hostname, nameAndPort: url.host };
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, "$1");
}
