import type { BatchRecord } from "@quern/shared/contract/batch";
import { writeLeaders } from "@quern/shared/files/line-leaders";
import { readBatch } from "@quern/shared/redis/batch-store";
import { redisNowMs } from "@quern/shared/redis/deadlines";
import { listServedModels } from "@quern/shared/redis/registry";
import { type CheckedInput, InputCheck } from "../validate/input-check.ts";
import { inputLines, inputLostFault, isInputLost } from "./input-lines.ts";
import type { Keeping } from "./keeping.ts";
import { moveKept } from "./move-kept.ts";

/** How often it is looked whether the batch is still wanted. */
const LOOK_INTERVAL_MS = 500;

/** Reads the input once, from its beginning to its end, and accepts the batch's lines or says what is wrong with them. */
export async function validateBatch(keeping: Keeping, record: BatchRecord): Promise<void> {
  const { files, redis, signal } = keeping;
  if ((await redisNowMs(redis)) >= record.expiresAtMs) {
    return await moveKept(keeping, "due", { endsWith: "expired" });
  }
  const checked = await checkInput(keeping, record).catch((error: unknown): CheckedInput => {
    if (!isInputLost(error)) throw error;
    return { kind: "faulty", faults: [inputLostFault(record)] };
  });
  if (checked === "unwanted") return;
  if (checked.kind === "faulty") return await moveKept(keeping, "rejected", { errors: checked.faults });
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
    const now = await readBatch(redis, record.id);
    if (now?.status !== "validating" || (await redisNowMs(redis)) >= now.expiresAtMs) return "unwanted";
    lookAtMs = performance.now() + LOOK_INTERVAL_MS;
  }
  return check.end();
}
