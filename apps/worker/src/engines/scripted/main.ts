import { hostEngine } from "../host.ts";
import { openScriptedEngine } from "./scripted-engine.ts";

hostEngine(openScriptedEngine);
