import type { Fault } from "./fault.ts";

/** All connections to Redis break at once, between any command and its reply. */
export const cutConnections: Fault = {
  name: "cut connections",
  hits: "redis",
  inject: async ({ cluster }) => {
    for (const { proxy } of cluster.places) proxy.cut();
  },
};
