import { runMain } from "@quern/shared/process/main";
import { readEnv, toConfig } from "./config.ts";
import { runGateway } from "./gateway.ts";

await runMain((stop) => runGateway(toConfig(readEnv()), stop));
