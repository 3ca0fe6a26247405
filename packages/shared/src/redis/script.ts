import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Redis } from "ioredis";

/** A Lua command: one file, loaded once, run by its digest and sent whole when the server forgot it. */
export interface Script {
  source: string;
  sha1: string;
}

/** A script that says `-- Needs <file>` gets that file's functions before its own lines, and so does that file. */
const NEEDS = /^-- Needs (\S+\.lua)$/gm;

export function loadScript(fileName: string): Script {
  const source = [...withNeeded(fileName)].map(readLua).join("\n");
  return { source, sha1: createHash("sha1").update(source).digest("hex") };
}

/** A script and all that it needs, each once and behind what it needs itself. */
function withNeeded(fileName: string): Set<string> {
  const needs = Array.from(readLua(fileName).matchAll(NEEDS), ([, needed = ""]) => [...withNeeded(needed)]);
  return new Set([...needs.flat(), fileName]);
}

function readLua(fileName: string): string {
  return readFileSync(new URL(`lua/${fileName}`, import.meta.url), "utf8");
}

export async function runScript(
  redis: Redis,
  script: Script,
  keys: string[],
  args: (string | number)[],
): Promise<unknown> {
  try {
    return await redis.evalsha(script.sha1, keys.length, ...keys, ...args);
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
    return await redis.eval(script.source, keys.length, ...keys, ...args);
  }
}
