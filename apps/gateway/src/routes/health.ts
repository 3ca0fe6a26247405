import type { RequestHandler } from "express";
import type { RouteContext } from "./route.ts";

/** `GET /healthz`: the process lives. Whoever restarts processes asks this. */
export const healthzRoute: RequestHandler = (_request, response) => {
  response.json({ status: "ok" });
};

/** `GET /readyz`: it can accept work. Whoever sends requests asks this; the reasons say why not. */
export function readyzRoute({ redis, evictionWatch, draining }: RouteContext): RequestHandler {
  return async (_request, response) => {
    const reasons = draining.aborted ? ["draining"] : [];
    // A Redis that takes no writes because its disk is full refuses a PING too.
    const looks = Promise.all([evictionWatch.look(), redis.ping()]);
    const fault = await looks.then(
      ([found]) => found,
      () => "away" as const,
    );
    if (fault === "away") reasons.push("redis_unavailable");
    else if (fault !== null) reasons.push("redis_evicts");
    const ready = reasons.length === 0;
    response.status(ready ? 200 : 503).json({ status: ready ? "ready" : "not_ready", reasons });
  };
}
