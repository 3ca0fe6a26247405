import type { Redis } from "ioredis";
import { MODELS_KEY, WORKERS_KEY, workerKey } from "../contract/names.ts";
import {
  type ModelDescription,
  modelDescriptionSchema,
  REGISTRATION_TTL_MS,
  type WorkerRegistration,
  workerRegistrationSchema,
} from "../contract/worker.ts";

/** Makes a worker visible, or renews it. It vanishes by itself `REGISTRATION_TTL_MS` after its last heartbeat. */
export async function registerWorker(redis: Redis, registration: WorkerRegistration): Promise<void> {
  const { id, description } = registration;
  const replies = await redis
    .pipeline()
    .set(workerKey(id), JSON.stringify(registration), "PX", REGISTRATION_TTL_MS)
    .sadd(WORKERS_KEY, id)
    .hset(MODELS_KEY, description.model, JSON.stringify(description))
    .exec();
  for (const [error] of replies ?? []) if (error) throw error;
}

export async function unregisterWorker(redis: Redis, workerId: string): Promise<void> {
  const replies = await redis.pipeline().del(workerKey(workerId)).srem(WORKERS_KEY, workerId).exec();
  for (const [error] of replies ?? []) if (error) throw error;
}

/** The workers whose heartbeat is fresh. Lapsed ones drop out of the set as they are met. */
export async function listWorkers(redis: Redis): Promise<WorkerRegistration[]> {
  const ids = await redis.smembers(WORKERS_KEY);
  if (ids.length === 0) return [];
  const pipeline = redis.pipeline();
  for (const id of ids) pipeline.get(workerKey(id));
  const replies = (await pipeline.exec()) ?? [];
  const workers: WorkerRegistration[] = [];
  const lapsed: string[] = [];
  for (const [position, [error, json]] of replies.entries()) {
    if (error) throw error;
    if (typeof json === "string") workers.push(workerRegistrationSchema.parse(JSON.parse(json)));
    else lapsed.push(ids[position] as string);
  }
  if (lapsed.length > 0) await redis.srem(WORKERS_KEY, ...lapsed);
  return workers;
}

/** Every model a worker ever served on this Redis: the ones that jobs can be queued for. */
export async function listServedModels(redis: Redis): Promise<ModelDescription[]> {
  const byModel = await redis.hgetall(MODELS_KEY);
  return Object.values(byModel).map((json) => modelDescriptionSchema.parse(JSON.parse(json)));
}
