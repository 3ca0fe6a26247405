import { findModel, loadCatalogue } from "@quern/shared/models/catalogue";
import { ensureModelFile } from "@quern/shared/models/download";
import { Command } from "commander";
import { listModels } from "./list-models.ts";
import { showProgress } from "./pull-progress.ts";
import { recommendCommand } from "./recommend-command.ts";
import { showModel } from "./show-model.ts";

export interface ModelsSettings {
  modelsFile: string;
  cacheDir: string;
  hfEndpoint: string;
  hfToken: string | null;
}

/** `quern models …`. Failures reject with a QuernError, for the program to print. */
export function modelsCommand(settings: () => ModelsSettings): Command {
  const models = new Command("models").description("choose, show and download models");

  models
    .command("list")
    .description("list the models of the catalogue, and which of them are on this machine")
    .action(async () => {
      const { modelsFile, cacheDir } = settings();
      process.stdout.write(await listModels(await loadCatalogue(modelsFile), cacheDir));
    });

  models
    .command("show")
    .description("tell all that is known of one model")
    .argument("<model>", "an alias of the catalogue, an alias:quantization, a path, hf:… or https://…")
    .action(async (spec: string) => {
      const { modelsFile, cacheDir } = settings();
      process.stdout.write(await showModel(findModel(await loadCatalogue(modelsFile), spec), cacheDir));
    });

  models.addCommand(recommendCommand(() => settings().modelsFile));

  models
    .command("pull")
    .description("download models; an interrupted download goes on where it stopped")
    .argument(
      "<model...>",
      "aliases of the catalogue, alias:quantization, hf:<owner>/<repo>:<quantization> or https://…/file.gguf",
    )
    .action(async (specs: string[]) => {
      await pull(specs, settings());
    });

  return models;
}

async function pull(
  specs: string[],
  { modelsFile, cacheDir, hfEndpoint, hfToken }: ModelsSettings,
): Promise<void> {
  const catalogue = await loadCatalogue(modelsFile);
  // All names are checked before the first byte: a typo in the last must not show after an hour.
  const entries = specs.map((spec) => findModel(catalogue, spec));
  const interrupted = new AbortController();
  const onInterrupt = () => interrupted.abort();
  process.once("SIGINT", onInterrupt).once("SIGTERM", onInterrupt);
  try {
    for (const entry of entries) {
      using progress = showProgress(entry.alias, process.stdout);
      const { signal } = interrupted;
      const options = { cacheDir, hfEndpoint, hfToken, signal, onProgress: progress.report };
      const path = await ensureModelFile(entry, options);
      progress.stop();
      console.log(`${entry.alias}: ${path}`);
    }
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
    console.error("interrupted: run the same command again, it goes on where it stopped");
    process.exitCode = 130; // as shells report an end by SIGINT
  } finally {
    process.off("SIGINT", onInterrupt).off("SIGTERM", onInterrupt);
  }
}
