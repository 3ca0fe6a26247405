import type { RequestHandler } from "express";
import type { RouteContext } from "./route.ts";

/** `GET /healthz`: the process lives. Whoever restarts processes asks this. */
export const healthzRoute: RequestHandler = (_request, response) => {
  response.json({ status: "ok" });
};

/** `GET /readyz`: it can accept work. Whoever sends requests asks this; the reasons say why not. */
export function readyzRoute({ redis, draining }: RouteContext): RequestHandler {
  return async (_request, response) => {
    const reasons = draining.aborted ? ["draining"] : [];
    const answered = await redis.ping().catch(() => null);
    if (answered === null) reasons.push("redis_unavailable");
    const ready = reasons.length === 0;
    response.status(ready ? 200 : 503).json({ status: ready ? "ready" : "not_ready", reasons });
  };
}
