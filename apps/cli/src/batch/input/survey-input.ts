import { createHash } from "node:crypto";
import { QuernError } from "@quern/shared/contract/errors";
import type { Endpoint } from "@quern/shared/contract/job";
import { type InputSource, readInputLines } from "./input-lines.ts";

/** What one reading of the whole input tells. In memory stays an id for each request (100 bytes or so), no request. */
export interface InputSurvey {
  endpoint: Endpoint;
  /** custom_id → index of its request. */
  ids: ReadonlyMap<string, number>;
  /** All that occur, in the order of their appearance. */
  columns: string[];
  /** Of all requests, in order: the same input and the same asking give the same. */
  digest: string;
}

/**
 * Reads the input once and finds what is wrong with it, before anything is sent.
 * @throws QuernError `invalid_request` naming the place, `config_invalid`; the signal's reason when it aborts.
 */
export async function surveyInput(source: InputSource, signal: AbortSignal): Promise<InputSurvey> {
  const ids = new Map<string, number>();
  const columns = new Set<string>();
  const hash = createHash("sha256");
  let endpoint: Endpoint | null = null;
  for await (const line of readInputLines(source)) {
    signal.throwIfAborted();
    if (ids.has(line.customId)) {
      throw new QuernError(
        "invalid_request",
        `${source.path}: ${line.where} has the id '${line.customId}', which another one has before it: ids must differ`,
      );
    }
    ids.set(line.customId, line.index);
    for (const column of Object.keys(line.columns)) columns.add(column);
    hash.update(`${line.request}\n`);
    endpoint = line.endpoint;
  }
  if (endpoint === null) throw new QuernError("invalid_request", `${source.path} is empty`);
  return { endpoint, ids, columns: [...columns], digest: hash.digest("hex") };
}
