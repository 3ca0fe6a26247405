import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Token } from "node-llama-cpp";
import type { Driver } from "./driver/driver.ts";
import { commonPrefix } from "./schedule/place-generation.ts";

/** Reading a state back costs about as much as computing this many tokens. */
const MIN_LOAD_TOKENS = 32;

export interface WarmPrefix {
  readonly tokens: readonly Token[];
  /** The cache that holds them, as the driver saved it. */
  readonly path: string;
}

/**
 * The beginnings of prompts that the operator has declared: system prompts. They are nobody's secret, so any tenant's
 * job may begin with what another one's computed, and their caches wait on disk, over restarts.
 */
export class WarmPrefixes {
  readonly #prefixes: readonly WarmPrefix[];

  constructor(prefixes: readonly WarmPrefix[]) {
    this.#prefixes = [...prefixes].sort((a, b) => b.tokens.length - a.tokens.length);
  }

  /** How many tokens at the beginning of this prompt everyone may share. */
  readonly publicTokens = (inputTokens: readonly Token[]): number =>
    this.#longest(inputTokens)?.tokens.length ?? 0;

  /** The state to load for this prompt by a slot that holds `heldTokens` of it already; null: it is not worth it. */
  stored(inputTokens: readonly Token[], heldTokens: number): WarmPrefix | null {
    const prefix = this.#longest(inputTokens);
    return prefix !== undefined && prefix.tokens.length - heldTokens >= MIN_LOAD_TOKENS ? prefix : null;
  }

  #longest(inputTokens: readonly Token[]): WarmPrefix | undefined {
    return this.#prefixes.find(
      ({ tokens }) => commonPrefix(inputTokens, tokens, tokens.length) === tokens.length,
    );
  }
}

/**
 * Makes sure that the cache of each prefix is on disk and can be read: computes, in a slot that is idle, what is
 * missing or damaged. `modelKey` tells files of different models, cache types and adapters apart.
 */
export async function prepareWarmPrefixes(
  driver: Driver,
  prefixes: readonly (readonly Token[])[],
  { folder, modelKey }: { folder: string; modelKey: string },
): Promise<WarmPrefixes> {
  const ready: WarmPrefix[] = [];
  if (prefixes.length > 0) await mkdir(folder, { recursive: true });
  for (const tokens of prefixes) {
    const hash = createHash("sha256").update(Uint32Array.from(tokens)).digest("hex").slice(0, 32);
    const path = join(folder, `${modelKey}-${hash}.state`);
    if (!(await canBeLoaded(driver, path, tokens))) await compute(driver, path, tokens);
    ready.push({ tokens, path });
  }
  return new WarmPrefixes(ready);
}

const IDLE_SLOT = 0;

async function canBeLoaded(driver: Driver, path: string, tokens: readonly Token[]): Promise<boolean> {
  if (!existsSync(path)) return false;
  try {
    const loaded = await driver.load(IDLE_SLOT, path);
    return loaded.length === tokens.length && commonPrefix(loaded, tokens, tokens.length) === tokens.length;
  } catch {
    return false;
  } finally {
    await driver.truncate(IDLE_SLOT, 0);
  }
}

async function compute(driver: Driver, path: string, tokens: readonly Token[]): Promise<void> {
  for (let position = 0; position < tokens.length; position += driver.stepTokens) {
    const chunk = tokens.slice(position, position + driver.stepTokens);
    const feed = { slot: IDLE_SLOT, position, tokens: chunk, sampler: null, topLogprobs: null };
    const [outcome] = await driver.step([feed]);
    if (outcome?.kind === "failed") throw outcome.error;
  }
  // Under another name until it is whole: engines may share the folder, also those of containers, whose pids are equal.
  const unfinished = `${path}.${randomUUID()}`;
  try {
    await driver.save(IDLE_SLOT, unfinished, tokens);
    await rename(unfinished, path);
  } finally {
    await rm(unfinished, { force: true });
    await driver.truncate(IDLE_SLOT, 0);
  }
}
