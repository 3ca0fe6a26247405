import type { Request } from "express";

/** Who asks. Everything a request reads or writes belongs to its tenant. */
export interface Caller {
  tenant: string;
}

/** There are no API keys yet: everybody who reaches this machine's loopback is the one tenant. Keys are read here. */
export function authenticate(_request: Request): Caller {
  return { tenant: "default" };
}
