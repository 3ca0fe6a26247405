import type { Fault } from "./fault.ts";

/** Its readers go to the other, with what they have seen. */
export const killGateway: Fault = {
  name: "kill -9 gateway",
  hits: "gateway",
  inject: async ({ cluster, random }) => {
    await cluster.kill(random.pick(cluster.of("gateway")));
    await cluster.whole();
  },
};
