import { QuernError } from "@quern/shared/contract/errors";
import { readEnv, toConfig } from "./config.ts";
import { createProgram } from "./program.ts";

try {
  await createProgram(toConfig(readEnv())).parseAsync();
} catch (error) {
  console.error(error instanceof QuernError ? error.message : error);
  process.exitCode = 1;
}
