import type { DownloadProgress } from "@quern/shared/models/download";
import type { WorkerEvents } from "./events.ts";

/** One log line per tenth of the file. */
const STEP_PERCENT = 10;

/** Tells of a download without a terminal: a line at every tenth. */
export function downloadProgress(model: string, events: WorkerEvents): (progress: DownloadProgress) => void {
  let toldPercent = -STEP_PERCENT;
  return ({ receivedBytes, totalBytes }) => {
    if (totalBytes === null) return;
    const percent = Math.floor((receivedBytes / totalBytes) * 100);
    if (percent < toldPercent + STEP_PERCENT) return;
    toldPercent = percent;
    events.modelDownloading(model, percent);
  };
}
