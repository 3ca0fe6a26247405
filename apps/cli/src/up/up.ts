import { findModel, loadCatalogue } from "@quern/shared/models/catalogue";
import { aborted } from "@quern/shared/process/aborted";
import { type ClusterSettings, withCluster } from "./cluster.ts";
import { readyLines } from "./ready-lines.ts";
import type { StopSignals } from "./stop-signals.ts";
import type { UpOptions } from "./up-options.ts";

/** Runs all of Quern on this machine until it is told to stop. */
export async function runUp(
  options: UpOptions,
  settings: ClusterSettings,
  signals: StopSignals,
): Promise<void> {
  const voice = { step: console.log, complain: console.error, output: "inherit" as const };
  try {
    await withCluster(options, settings, { signals, voice }, async (url) => {
      const [firstModel = ""] = options.models;
      const first = findModel(await loadCatalogue(settings.models.modelsFile), firstModel);
      for (const line of readyLines(url, first)) console.log(line);
      await aborted(signals.stop);
      console.log("Draining; Ctrl-C again stops at once.");
    });
  } catch (error) {
    if (!signals.stop.aborted) throw error;
  }
  console.log("Quern has stopped.");
}
