import type { BatchRecord } from "@quern/shared/contract/batch";
import { writeLeaders } from "@quern/shared/files/line-leaders";
import { redisNowMs } from "@quern/shared/redis/deadlines";
import { listServedModels } from "@quern/shared/redis/registry";
import { type CheckedInput, InputCheck } from "../validate/input-check.ts";
import { awaitModel, isWanted, mayModelCome } from "./await-model.ts";
import { inputLines, inputLostFault, isInputLost } from "./input-lines.ts";
import type { Keeping } from "./keeping.ts";
import { moveKept } from "./move-kept.ts";

/** How often it is looked whether the batch is still wanted. */
const LOOK_INTERVAL_MS = 500;

/**
 * Reads the input from its beginning to its end, and accepts the batch's lines or says what is wrong with them. Where only the
 * model is unknown, and a worker may still bring it, the batch stays `validating`; its input is read again afterwards.
 */
export async function validateBatch(keeping: Keeping, record: BatchRecord): Promise<void> {
  const { files, redis, signal, events } = keeping;
  if ((await redisNowMs(redis)) >= record.expiresAtMs) {
    return await moveKept(keeping, "due", { endsWith: "expired" });
  }
  if (record.awaitedModel !== null) {
    await awaitModel(keeping, record.awaitedModel);
    if (!(await isWanted(keeping))) return;
  }
  const checked = await checkInput(keeping, record).catch((error: unknown): CheckedInput => {
    if (!isInputLost(error)) throw error;
    return { kind: "faulty", faults: [inputLostFault(record)] };
  });
  if (checked === "unwanted") return;
  if (checked.kind === "model_unknown" && (await mayModelCome(keeping))) {
    if (record.awaitedModel === null) events.batchAwaitsModel(record.id, checked.name);
    return await moveKept(keeping, "model_awaited", { awaitedModel: checked.name });
  }
  if (checked.kind !== "sound") return await moveKept(keeping, "rejected", { errors: checked.faults });
  const { model, total, leaders } = checked;
  if (leaders !== null) await writeLeaders(files, record, leaders, signal);
  await moveKept(keeping, "validated", { model, total });
}

async function checkInput(keeping: Keeping, record: BatchRecord): Promise<CheckedInput | "unwanted"> {
  const { redis, limits, signal } = keeping;
  const models = await listServedModels(redis);
  const check = new InputCheck({ ...limits, models, endpoint: record.endpoint, dedupe: record.dedupe });
  let lookAtMs = performance.now() + LOOK_INTERVAL_MS;
  for await (const fileLine of inputLines(keeping, record, limits.maxLineBytes)) {
    if (check.add(fileLine) === "enough") break;
    if (performance.now() < lookAtMs) continue;
    signal.throwIfAborted();
    if (!(await isWanted(keeping))) return "unwanted";
    lookAtMs = performance.now() + LOOK_INTERVAL_MS;
  }
  return check.end();
}
