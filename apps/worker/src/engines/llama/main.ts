import { hostEngine } from "../host.ts";
import { openLlamaEngine } from "./llama-engine.ts";

hostEngine(openLlamaEngine);
