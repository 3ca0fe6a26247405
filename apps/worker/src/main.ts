import { runMain } from "@quern/shared/process/main";
import { readEnv, toConfig } from "./config.ts";
import { runWorker } from "./worker.ts";

await runMain((stop) => runWorker(toConfig(readEnv()), stop));
