import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { environmentWith } from "./docker-config.ts";
import { type DockerEngine, ensureImage } from "./docker-engine.ts";

const run = promisify(execFile);

/** The images that the composition stands on: `made` ones came from this machine's packages, the others are upstream's. */
export type BaseImages = { node: string; redis: string; made: string[] } | { whyNot: string };

/**
 * Upstream's images where the engine has them or can pull them; else the nearest that this Debian machine's own
 * packages give, as `quern-test/…:<own.version>` (`make-base-image.sh`).
 */
export async function findBaseImages(
  engine: DockerEngine,
  upstream: { node: string; redis: string },
  own: { makeImageScript: string; version: string },
): Promise<BaseImages> {
  const made: string[] = [];
  const find = async (image: string, kind: "node" | "redis", ...args: string[]): Promise<string> => {
    if (await ensureImage(engine, image)) return image;
    const tag = `quern-test/${kind}:${own.version}`;
    await run(own.makeImageScript, [kind, tag, ...args], {
      env: environmentWith({ DOCKER_HOST: engine.host }),
    });
    made.push(tag);
    return tag;
  };
  try {
    const redis = await find(upstream.redis, "redis");
    const node = await find(upstream.node, "node", process.execPath);
    return { node, redis, made };
  } catch (error) {
    const { stderr = "" } = error as { stderr?: string };
    return { whyNot: stderr.trim() || String(error) };
  }
}
