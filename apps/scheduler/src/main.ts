import { runMain } from "@quern/shared/process/main";
import { readEnv, toConfig } from "./config.ts";
import { runScheduler } from "./scheduler.ts";

await runMain((stop) => runScheduler(toConfig(readEnv()), stop));
