import { GenericContainer, Wait } from "testcontainers";
import { pointTestcontainersAt, testRunId } from "./docker-config.ts";
import type { DockerEngine } from "./docker-engine.ts";

const RUN_LABEL = "quern.test-run";
const REDIS_PORT = 6379;
const START_TIMEOUT_MS = 20_000;

export interface RedisContainer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
}

/** `host` has DOCKER_HOST's form; `args` are redis-server's. */
export async function startRedisContainer(
  host: string,
  image: string,
  args: readonly string[],
): Promise<RedisContainer> {
  pointTestcontainersAt(host);
  const container = await new GenericContainer(image)
    .withCommand(["redis-server", ...args, "--bind", "0.0.0.0", "--protected-mode", "no"])
    .withExposedPorts(REDIS_PORT)
    .withLabels({ [RUN_LABEL]: testRunId() })
    .withWaitStrategy(Wait.forLogMessage("Ready to accept connections"))
    .withStartupTimeout(START_TIMEOUT_MS)
    .start();
  return {
    host: container.getHost(),
    port: container.getMappedPort(REDIS_PORT),
    async [Symbol.asyncDispose]() {
      await container.stop();
    },
  };
}

/** Removes the containers of this run that a killed test left behind; returns how many those were. */
export async function removeLeftContainers(engine: DockerEngine): Promise<number> {
  const filters = JSON.stringify({ label: [`${RUN_LABEL}=${testRunId()}`] });
  const list = await engine.request(
    "GET",
    `/containers/json?all=true&filters=${encodeURIComponent(filters)}`,
  );
  const containers = JSON.parse(list.body) as { Id: string }[];
  await Promise.all(
    containers.map(({ Id }) => engine.request("DELETE", `/containers/${Id}?force=true&v=true`)),
  );
  return containers.length;
}
