import { lineOfJob } from "./line-job.ts";

/**
 * Every name Quern uses in Redis. Keys of one job share a hash tag, so that one script can touch them all on a
 * cluster; BullMQ's keys share one per model.
 */

/** BullMQ's key prefix for the queues of one model, named `QUEUE_NAMES`. Model aliases never contain braces (`catalogue-schema.ts`). */
export function queuePrefix(model: string): string {
  return `{quern:${model}}`;
}

/** The id of the worker that makes room for the model's suspects; lapses unless it is renewed. */
export function suspectDutyKey(model: string): string {
  return `${queuePrefix(model)}:suspect-duty`;
}

export function jobKey(jobId: string): string {
  return `quern:job:${jobTag(jobId)}`;
}

/** The stream of a job's token events; also the Pub/Sub channel on which each of them is announced. */
export function eventsKey(jobId: string): string {
  return `quern:events:${jobTag(jobId)}`;
}

/** Of a batch's line the batch is the hash tag. */
function jobTag(jobId: string): string {
  const line = lineOfJob(jobId);
  return line === null ? `{${jobId}}` : `{${line.batchId}}:${line.index}`;
}

/** All keys of a batch share its hash tag with the jobs of its lines. */
export function batchKey(batchId: string): string {
  return `quern:batch:{${batchId}}`;
}

/** Bitmap: the lines that have ended, by their index. Who sets a bit ends the line. */
export function endedLinesKey(batchId: string): string {
  return `${batchKey(batchId)}:ended`;
}

/** Sorted set: indexes of the lines that are jobs just now, by when they were fed in Unix milliseconds. */
export function liveLinesKey(batchId: string): string {
  return `${batchKey(batchId)}:live`;
}

/** Stream: how lines ended, until it stands in the batch's files. */
export function outboxKey(batchId: string): string {
  return `${batchKey(batchId)}:outbox`;
}

/** Sorted set: indexes of the lines that failed in passing, by when they are fed again in Unix milliseconds. */
export function lineRetriesKey(batchId: string): string {
  return `${batchKey(batchId)}:retries`;
}

/** Hash: index of a line → how often it was put off. */
export function lineTriesKey(batchId: string): string {
  return `${batchKey(batchId)}:tries`;
}

/** Hash: index of a line that is a job or is to be fed again → its `offset bytes tokens`: where it stands in the input, and what it may cost. */
export function linePositionsKey(batchId: string): string {
  return `${batchKey(batchId)}:positions`;
}

/** Sorted set of a tenant's batch ids, all with score 0: uuidv7 ids sort by creation. */
export function batchIndexKey(tenant: string): string {
  return `quern:batches:${tenant}`;
}

/** Sorted set: ids of the batches that are not over, by when they were created in Unix milliseconds. */
export const LIVE_BATCHES_KEY = "quern:live-batches";

/** Pub/Sub: the id of a batch that changed otherwise than by its lines: it was cancelled, paused, resumed. Schedulers listen. */
export const BATCH_CHANNEL = "quern:batch-changed";

/** BullMQ's key prefix for the queue of batches, each of which is one scheduler's to see through. */
export const BATCH_QUEUE_PREFIX = "{quern:batches}";
/** Its name. A job in it has the batch's id for its own, and `{ batchId }` for its data. */
export const BATCH_QUEUE_NAME = "batches";

/** The token of the one scheduler that feeds the lines of all batches to a model. */
export function feederLockKey(model: string): string {
  return `${queuePrefix(model)}:feeder`;
}

/** Sorted set of a tenant's job ids, all with score 0: uuidv7 ids sort by creation. */
export function jobIndexKey(tenant: string): string {
  return `quern:jobs:${tenant}`;
}

/** JSON of a file's record; empty while its content is being written. */
export function fileRecordKey(fileId: string): string {
  return `quern:file:{${fileId}}`;
}

/** Sorted set of a tenant's file ids, all with score 0: uuidv7 ids sort by creation. */
export function fileIndexKey(tenant: string): string {
  return `quern:files:${tenant}`;
}

/** Sorted set: `<file id> <tenant>` of every file that has to be seen to, by when, in Unix milliseconds of Redis' clock. */
export const DUE_FILES_KEY = "quern:due-files";

/** The token of the one scheduler that removes files just now. */
export const FILE_SWEEPER_LOCK_KEY = "quern:file-sweeper";

/** The token of the one scheduler that removes the ids of expired records from the lists of jobs and batches. */
export const INDEX_TRIMMER_LOCK_KEY = "quern:index-trimmer";

/** Set of all tenants that ever submitted a job or a batch. */
export const TENANTS_KEY = "quern:tenants";

/** Sorted set of a tenant's accepted jobs that are not settled, by when they were accepted in Unix milliseconds of Redis' clock. */
export function liveJobsKey(tenant: string): string {
  return `quern:live:{${tenant}}`;
}

/** Hash of what a tenant's jobs came to; it shares its hash tag with `liveJobsKey`. */
export function countersKey(tenant: string): string {
  return `quern:counters:{${tenant}}`;
}

/** Pub/Sub: id and tenant of a job that has ended and has more to follow than its counting. Schedulers listen. */
export const SETTLE_CHANNEL = "quern:settle";

/** Hash: the secret that a job's webhook is signed with, if its submitter sent one, and what is delivered. Never in the record, which is shown. */
export function webhookKey(jobId: string): string {
  return `quern:webhook:{${jobId}}`;
}

/** The token of the one scheduler that sweeps just now. */
export const SWEEPER_LOCK_KEY = "quern:sweeper";

/** The token of the one scheduler that looks for batches that are in no queue. */
export const BATCH_SWEEP_LOCK_KEY = "quern:batch-sweep";

/** A sign of life of the scheduler on a host; it expires unless it is renewed. */
export function schedulerKey(host: string): string {
  return `quern:scheduler:${host}`;
}

/** BullMQ's key prefix for the queue of webhook deliveries. */
export const WEBHOOK_QUEUE_PREFIX = "{quern:webhooks}";

/** Sorted set: ids of jobs that have not ended, by their deadline in Unix milliseconds of Redis' clock. */
export const DEADLINES_KEY = "quern:deadlines";

/** Hash: which job a tenant's Idempotency-Key stands for. Of the key itself only a digest is kept: it is the caller's secret. */
export function idempotencyKey(tenant: string, keyHash: string): string {
  return `quern:idempotency:{${tenant}:${keyHash}}`;
}

/** Pub/Sub: the id of a running job somebody wants cancelled. Workers listen. */
export const CANCEL_CHANNEL = "quern:cancel";

/** Set of worker ids; each has a registration that expires unless its heartbeat renews it. */
export const WORKERS_KEY = "quern:workers";

export function workerKey(workerId: string): string {
  return `quern:worker:${workerId}`;
}

/** Hash: model alias → description by the last worker that loaded it. Kept when the workers are gone. */
export const MODELS_KEY = "quern:models";

/** Pub/Sub: a question to one worker that needs its tokenizer. */
export function tokenCountChannel(workerId: string): string {
  return `quern:count:${workerId}`;
}

/** Pub/Sub: where one gateway hears the answers to its token-count questions. */
export function tokenCountReplyChannel(gatewayId: string): string {
  return `quern:counted:${gatewayId}`;
}
