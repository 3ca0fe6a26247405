/** Whether a host name or address can only mean this machine. */
export function isLoopbackName(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[(.*)\]$/, "$1");
  return (
    name === "localhost" || name.endsWith(".localhost") || name === "::1" || /^127(\.\d{1,3}){3}$/.test(name)
  );
}

/** The host of a `Host` header or an origin; null when it is neither. */
export function hostNameOf(hostOrOrigin: string): string | null {
  const url = URL.parse(hostOrOrigin.includes("://") ? hostOrOrigin : `http://${hostOrOrigin}`);
  return url === null ? null : url.hostname;
}
