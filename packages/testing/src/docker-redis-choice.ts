import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { readRedisDecision, redisTestImage, writeRedisDecision } from "./docker-config.ts";
import { type DockerEngine, ensureImage, findDockerEngine, hasImage } from "./docker-engine.ts";

/** How the tests of this run get their Redis. `why` ends the line that the run prints. */
export type RedisChoice =
  | { kind: "container"; image: string; host: string; why: string }
  | { kind: "process"; binary: string; version: string; why: string };

/** Official images, tried when REDIS_TEST_IMAGE names none; the first one that is here already saves a pull. */
const OFFICIAL_IMAGES = ["redis:7-alpine", "redis:7", "redis:8-alpine", "redis:8", "valkey/valkey:8-alpine"];
const BINARIES = ["redis-server", "valkey-server"];

/** Decided once for a run: the first to ask writes it where every process of the run reads it, and prints it. */
export async function chooseRedis(): Promise<RedisChoice> {
  const decided = readRedisDecision();
  if (decided !== null) return JSON.parse(decided) as RedisChoice;
  const choice = await decide();
  writeRedisDecision(JSON.stringify(choice));
  console.log(describeRedisChoice(choice));
  return choice;
}

export function describeRedisChoice(choice: RedisChoice): string {
  return choice.kind === "container"
    ? `Redis: container ${choice.image} (${choice.why})`
    : `Redis: spawned ${choice.binary} ${choice.version} (${choice.why})`;
}

async function decide(): Promise<RedisChoice> {
  const search = await findDockerEngine();
  if (search.engine === null) return chooseProcess(search.whyNot);
  const { engine } = search;
  const image = await findImage(engine);
  if (image === null) {
    return chooseProcess(
      `Docker ${engine.version} answers, but ${redisTestImage() ?? OFFICIAL_IMAGES[0]} can't be pulled`,
    );
  }
  return { kind: "container", image, host: engine.host, why: `Docker ${engine.version} answers` };
}

/** An image that the engine holds when this returns, or null. */
async function findImage(engine: DockerEngine): Promise<string | null> {
  const named = redisTestImage();
  const candidates = named === null ? OFFICIAL_IMAGES : [named];
  for (const image of candidates) {
    if (await hasImage(engine, image)) return image;
  }
  const [wanted] = candidates;
  return wanted !== undefined && (await ensureImage(engine, wanted)) ? wanted : null;
}

async function chooseProcess(why: string): Promise<RedisChoice> {
  for (const binary of BINARIES) {
    try {
      const { stdout } = await promisify(execFile)(binary, ["--version"]);
      return { kind: "process", binary, version: /v=(\S+)/.exec(stdout)?.[1] ?? "of unknown version", why };
    } catch {
      // Not on PATH: try the next.
    }
  }
  throw new Error(
    `No Redis for the tests: ${why}, and neither ${BINARIES.join(" nor ")} is on PATH. Install one (Debian: apt-get install redis-server) or start Docker.`,
  );
}
