import { setTimeout as sleep } from "node:timers/promises";
import type { Script } from "../../script.ts";
import { type Client, GivenUp } from "../client.ts";
import { type AskedLine, BATCH_ENDPOINT, drawLines, inputText } from "./asked-lines.ts";
import {
  type BatchFigures,
  downloadLines,
  postOnce,
  tellBatch,
  uploadInput,
  watchBatch,
} from "./batch-api.ts";

/** A batch as it ended, and what its files hold, a line each. */
export interface EndedBatch {
  asked: AskedLine[];
  /** In which statuses it may be. */
  mayBe: string[];
  figures: BatchFigures;
  output: string[];
  errors: string[];
}

/** What is done to a batch on its way. */
interface Fate {
  name: string;
  /** Of all lines of a run, in percent. */
  share: number;
  /** How many different requests there are; 0: each line has its own. */
  kinds: number;
  dedupe: boolean;
  window: string;
  mayBe: string[];
  /** At a moment that is drawn. Absent: nothing. */
  meanwhile?: (client: Client, batchId: string) => Promise<void>;
  /** Whether the lines that failed are asked once more, as a batch of their own. */
  isRetried: boolean;
}

const PLAIN = { kinds: 0, dedupe: false, window: "24h", mayBe: ["completed"], isRetried: false };
const PAUSED_MS = { least: 200, most: 5_000 };

const FATES: readonly Fate[] = [
  { ...PLAIN, name: "left alone", share: 60, isRetried: true },
  {
    ...PLAIN,
    name: "paused, with copies",
    share: 20,
    kinds: 25,
    dedupe: true,
    meanwhile: async (client, batchId) => {
      await tellBatch(client, batchId, "pause");
      await sleep(client.random.between(PAUSED_MS.least, PAUSED_MS.most));
      await tellBatch(client, batchId, "resume");
    },
  },
  {
    ...PLAIN,
    name: "cancelled",
    share: 10,
    // Who comes too late finds it ended.
    mayBe: ["cancelled", "completed"],
    meanwhile: (client, batchId) => tellBatch(client, batchId, "cancel"),
  },
  {
    ...PLAIN,
    name: "expired",
    share: 10,
    // The shortest there is; it would be enough, but for the pause.
    window: "1m",
    mayBe: ["expired", "completed"],
    meanwhile: (client, batchId) => tellBatch(client, batchId, "pause"),
  },
];

/** Hands batches in that come to all kinds of ends, `lines` in all, each by a client of its own. null: the run gave up. */
export async function runBatches(
  newClient: () => Client,
  script: Script,
  lines: number,
): Promise<EndedBatch[] | null> {
  try {
    const runs = FATES.map((fate) => [fate, newClient()] as const);
    const ended = await Promise.all(
      runs.map(([fate, client]) => runBatch(client, script, fate, Math.ceil((lines * fate.share) / 100))),
    );
    return ended.flat();
  } catch (error) {
    if (error instanceof GivenUp) return null;
    throw error;
  }
}

async function runBatch(client: Client, script: Script, fate: Fate, lines: number): Promise<EndedBatch[]> {
  const asked = drawLines(client.random, script, lines, fate.kinds);
  const at = client.random.below(lines);
  const inputFileId = await uploadInput(client, inputText(asked));
  const body = {
    input_file_id: inputFileId,
    endpoint: BATCH_ENDPOINT,
    completion_window: fate.window,
    dedupe: fate.dedupe,
  };
  const batchId = await postOnce(client, "/v1/batches", body, inputFileId);
  client.ledger.note("batch accepted", { batch: batchId, fate: fate.name, lines, at });
  if (fate.meanwhile !== undefined) {
    await watchBatch(client, batchId, at);
    await fate.meanwhile(client, batchId);
  }
  const ended = await endOf(client, batchId, asked, fate.mayBe);
  return fate.isRetried ? [ended, ...(await retried(client, ended))] : [ended];
}

async function endOf(
  client: Client,
  batchId: string,
  asked: AskedLine[],
  mayBe: string[],
): Promise<EndedBatch> {
  const figures = await watchBatch(client, batchId);
  client.ledger.note("batch ended", { batch: figures });
  const output = await downloadLines(client, figures.output_file_id);
  return { asked, mayBe, figures, output, errors: await downloadLines(client, figures.error_file_id) };
}

/** What failed for its own fault fails again. */
async function retried(client: Client, { asked, figures }: EndedBatch): Promise<EndedBatch[]> {
  const again = asked.filter(({ expected }) => expected === null);
  if (again.length === 0) return [];
  const path = `/v1/batches/${figures.id}/retry-failed`;
  const batchId = await postOnce(client, path, {}, `again ${figures.id}`);
  return [await endOf(client, batchId, again, ["completed"])];
}
