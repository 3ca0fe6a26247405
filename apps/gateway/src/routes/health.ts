import { findWriteRefusal } from "@quern/shared/redis/write-refusal";
import type { RequestHandler } from "express";
import type { RouteContext } from "./route.ts";

/** `GET /healthz`: the process lives. Whoever restarts processes asks this. */
export const healthzRoute: RequestHandler = (_request, response) => {
  response.json({ status: "ok" });
};

/** Why no work is accepted; `message` says more where somebody has to do something about it. */
interface Obstacle {
  reason: "draining" | "redis_unavailable" | "redis_refuses_writes" | "redis_evicts";
  message?: string;
}

/** `GET /readyz`: it can accept work. Whoever sends requests asks this; the reasons say why not, the message what to do. */
export function readyzRoute(
  context: Pick<RouteContext, "redis" | "evictionWatch" | "draining">,
): RequestHandler {
  return async (_request, response) => {
    const obstacles: Obstacle[] = context.draining.aborted ? [{ reason: "draining" }] : [];
    const fault = await faultOfRedis(context);
    if (fault !== null) obstacles.push(fault);
    const isReady = obstacles.length === 0;
    response.status(isReady ? 200 : 503).json({
      status: isReady ? "ready" : "not_ready",
      reasons: obstacles.map(({ reason }) => reason),
      ...(fault?.message === undefined ? {} : { message: fault.message }),
    });
  };
}

async function faultOfRedis({
  redis,
  evictionWatch,
}: Pick<RouteContext, "redis" | "evictionWatch">): Promise<Obstacle | null> {
  try {
    const [refusal, eviction] = await Promise.all([findWriteRefusal(redis), evictionWatch.look()]);
    if (refusal !== null) return { reason: "redis_refuses_writes", message: refusal };
    return eviction === null ? null : { reason: "redis_evicts", message: eviction };
  } catch {
    return { reason: "redis_unavailable" };
  }
}
