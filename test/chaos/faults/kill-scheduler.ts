import type { Fault } from "./fault.ts";

export const killScheduler: Fault = {
  name: "kill -9 scheduler",
  hits: "scheduler",
  applies: (cluster) => cluster.of("scheduler").length > 0,
  inject: async ({ cluster }) => {
    for (const place of cluster.of("scheduler")) await cluster.kill(place);
    await cluster.whole();
  },
};
