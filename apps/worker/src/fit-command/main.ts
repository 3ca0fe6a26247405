import { QuernError } from "@quern/shared/contract/errors";
import { findModel, loadCatalogue } from "@quern/shared/models/catalogue";
import { readGgufHeader } from "@quern/shared/models/gguf-header";
import { locateModelFile } from "@quern/shared/models/model-files";
import { runMain } from "@quern/shared/process/main";
import { readEnv, toConfig } from "../config.ts";
import { planTable } from "../fit/describe-plan.ts";
import { modelOptions } from "../model-options.ts";
import { askPlan } from "./ask-plan.ts";

// Prints how the worker that this environment describes would use the memory, and ends. Exit code 1: it does not fit.
await runMain(async (stop) => {
  const { model, engine, child } = toConfig(readEnv());
  const entry = findModel(await loadCatalogue(model.catalogueFile), model.spec);
  const path = await locateModelFile(entry, model);
  const options = modelOptions(engine, false, entry, path, await readGgufHeader(path));
  const { plan, cure } = await askPlan(options.engine, child.environment, stop);
  for (const line of [entry.alias, ...planTable(plan)]) console.log(line);
  if (cure !== null) throw new QuernError("model_does_not_fit", `${entry.alias} does not fit. ${cure}`);
  console.log("It fits.");
});
