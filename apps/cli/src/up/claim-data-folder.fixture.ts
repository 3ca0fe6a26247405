import type { FileLock } from "@quern/shared/process/file-lock";
import { claimDataFolder } from "./claim-data-folder.ts";

// One of two processes that start on the same data directory in the same instant. For each message it spins until the
// given time, claims the directory, reports the outcome, and keeps what it got until the next message.

export interface Round {
  folder: string;
  /** Unix time in ms. */
  startAtMs: number;
}

export type RoundOutcome = "owns" | "refused";

let claim: FileLock | null = null;

process.on("message", async ({ folder, startAtMs }: Round) => {
  claim?.[Symbol.dispose]();
  claim = null;
  while (performance.timeOrigin + performance.now() < startAtMs);
  try {
    claim = await claimDataFolder(folder, folder);
  } catch {
    // The directory is the other process's.
  }
  process.send?.((claim === null ? "refused" : "owns") satisfies RoundOutcome);
});
process.send?.("ready");
