import type { FileStore } from "@quern/shared/files/file-store";
import type { Redis } from "ioredis";
import type { SchedulerEvents } from "../../events.ts";
import type { DeliveryQueue } from "../../queue/delivery-queue.ts";
import type { JobReferences } from "../../queue/job-references.ts";
import type { ServedModels } from "../feed/served-models.ts";

/** What keeping batches works with. */
export interface KeepContext {
  redis: Redis;
  files: FileStore;
  references: JobReferences;
  deliveries: DeliveryQueue;
  limits: { maxLines: number; maxLineBytes: number };
  fleet: ServedModels;
  /** How long after the first worker has come another one may still bring the model that a batch asks for. */
  modelWaitMs: number;
  /** How long a batch that is over stays readable. */
  recordSeconds: number;
  /** Whether other batches wait to be kept here: then one with nothing to be done makes room for a while. */
  isCrowded: () => boolean;
  events: SchedulerEvents;
}

/** One scheduler's time with one batch. `epoch` is its fence; `signal` aborts when it has to let go. */
export interface Keeping extends KeepContext {
  batchId: string;
  epoch: number;
  /** How often this epoch has recorded what is collected. */
  saves: { count: number };
  signal: AbortSignal;
}

/** The batch is another scheduler's by now, or Redis has gone back in time: whoever takes it up again begins with what stands in Redis. */
export class KeepingLost extends Error {
  override readonly name = "KeepingLost";
}

/** Nothing is to be done for the batch just now, and others wait: whoever has room takes it up again a little later. */
export class KeepingRests extends Error {
  override readonly name = "KeepingRests";
}
