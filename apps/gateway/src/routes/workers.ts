import type { WorkerRegistration } from "@quern/shared/contract/worker";
import { listWorkers } from "@quern/shared/redis/registry";
import type { RequestHandler } from "express";
import { authenticate } from "../auth/authenticate.ts";
import { coverageObject, speedObject } from "./measured.ts";
import type { RouteContext } from "./route.ts";

/** `GET /v1/workers`: those whose heartbeat is fresh. */
export function listWorkersRoute({ redis }: RouteContext): RequestHandler {
  return async (request, response) => {
    authenticate(request);
    const workers = await listWorkers(redis);
    const data = workers.map(workerObject).sort((a, b) => a.started_at - b.started_at);
    response.json({ object: "list", data });
  };
}

function workerObject(worker: WorkerRegistration) {
  const { id, host, pid, enginePid, description, slots, busy, state, startedAtMs, lastSeenAtMs } = worker;
  const { rates, calibration } = worker;
  return {
    id,
    host,
    pid,
    engine_pid: enginePid,
    model: description.model,
    architecture: description.architecture,
    experts: description.experts,
    slots,
    busy,
    state,
    started_at: startedAtMs / 1_000,
    last_seen_at: lastSeenAtMs / 1_000,
    speed: speedObject(rates),
    estimates: coverageObject([calibration]),
  };
}
