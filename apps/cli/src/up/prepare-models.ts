import { findModel, loadCatalogue } from "@quern/shared/models/catalogue";
import { ensureModelFile } from "@quern/shared/models/download";
import { readGgufHeader } from "@quern/shared/models/gguf-header";
import type { ModelsSettings } from "../models/models-command.ts";
import { showProgress } from "../models/pull-progress.ts";

/**
 * Checks that every model can be had and read, before anything is started; downloads what is not here.
 * @throws QuernError `model_unknown`, `model_file_missing`, `model_file_invalid`, `download_failed`, …
 */
export async function prepareModels(
  specs: readonly string[],
  { modelsFile, cacheDir, hfEndpoint, hfToken }: ModelsSettings,
  signal: AbortSignal,
): Promise<void> {
  const catalogue = await loadCatalogue(modelsFile);
  const entries = specs.map((spec) => findModel(catalogue, spec));
  for (const entry of entries) {
    using progress = showProgress(entry.alias, process.stdout);
    const options = { cacheDir, hfEndpoint, hfToken, signal, onProgress: progress.report };
    await readGgufHeader(await ensureModelFile(entry, options));
  }
}
