// The whole composition, built from the Dockerfile and run by compose on a real engine. Where no engine or no compose
// is to be had this says so, and only the file itself was checked (compose-file.test.ts).

import { join } from "node:path";
import { findBaseImages } from "@quern/testing/docker-base-images";
import { type Composition, composition, findComposeCommand } from "@quern/testing/docker-compose";
import { readComposeFile, withDefaults } from "@quern/testing/docker-compose-file";
import { findDockerEngine } from "@quern/testing/docker-engine";
import { freePort } from "@quern/testing/free-port";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const BUILD_TIMEOUT_MS = 8 * 60_000;
const START_TIMEOUT_MS = 90_000;
const ANSWER_TIMEOUT_MS = 60_000;

const root = join(import.meta.dirname, "..", "..");
const plan = await planRun();
console.log(
  "whyNot" in plan
    ? `Deployment: the compose file was checked only (${plan.whyNot})`
    : `Deployment: ${plan.how}`,
);

describe.skipIf("whyNot" in plan)("the composition", () => {
  if ("whyNot" in plan) return;
  const { quern, url, made } = plan;

  beforeAll(async () => {
    await quern.compose("build", "gateway", "scheduler", "worker");
    try {
      await quern.compose("up", "--detach", "--no-build");
      await untilWorkersReady(url, 1);
    } catch (error) {
      throw new Error(`the composition did not start:\n${await quern.compose("logs", "--tail", "30")}`, {
        cause: error,
      });
    }
  }, BUILD_TIMEOUT_MS + START_TIMEOUT_MS);

  afterAll(async () => {
    await quern.compose("down", "--volumes", "--timeout", "5");
    await quern.docker("rmi", "--force", ...Object.values(plan.images), ...made);
    await quern.docker("image", "prune", "--force", "--filter", "label=quern.build-stage=true");
  }, 60_000);

  test("every service is healthy", { timeout: START_TIMEOUT_MS }, () =>
    untilHealthy(quern, ["redis", "gateway", "scheduler", "worker"]),
  );

  test("answers a real question through the queue", { timeout: ANSWER_TIMEOUT_MS }, async () => {
    expect(await ask(url, "What is the capital of France?")).toContain("Paris");
  });

  test("runs every process as an unprivileged user under an init, on a file system that it can't write", async () => {
    for (const service of ["redis", "gateway", "scheduler", "worker"]) {
      const [container = ""] = await containersOf(quern, service);
      const { Config, HostConfig } = await inspect(quern, container);
      expect(Config.User).toMatch(/^[1-9]\d*:/);
      expect(HostConfig).toMatchObject({ Init: true, ReadonlyRootfs: true, CapDrop: ["ALL"] });
      if (service === "redis") continue;
      const attempt = "fs.writeFileSync('/quern/x', ''); ";
      await expect(quern.docker("exec", container, "node", "-e", attempt)).rejects.toThrow("EROFS");
    }
  });

  test("the CPU image carries no CUDA binaries, and no image carries test or development packages", async () => {
    const list = async (service: string, path: string) => {
      const [container = ""] = await containersOf(quern, service);
      const program = `console.log(fs.readdirSync('${path}').join(' '))`;
      return (await quern.docker("exec", container, "node", "-e", program)).split(" ");
    };
    const llama = await list("worker", "node_modules/@node-llama-cpp");
    expect(llama.some((name) => /cuda|vulkan/.test(name))).toBe(false);
    expect(await list("gateway", "node_modules")).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/^(vitest|typescript|testcontainers|node-llama-cpp)$/)]),
    );
  });

  test("keeps its jobs over a restart of Redis", { timeout: START_TIMEOUT_MS }, async () => {
    const job = await runJob(url, "What is the capital of France?");
    // The append-only file is synced every second.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await quern.compose("restart", "--timeout", "5", "redis");
    await untilWorkersReady(url, 1);
    const reply = await fetch(`${url}/v1/jobs/${job.id}`);
    expect(await reply.json()).toMatchObject({ id: job.id, status: "completed", response: job.response });
    expect(await ask(url, "What is the capital of France?")).toContain("Paris");
  });

  test("scales to two workers, on hosts of their own", { timeout: START_TIMEOUT_MS }, async () => {
    await quern.compose("up", "--detach", "--no-build", "--no-recreate", "--scale", "worker=2");
    const hosts = await untilWorkersReady(url, 2);
    expect(new Set(hosts).size).toBe(2);
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => ask(url, "What is the capital of France?")),
    );
    for (const answer of answers) expect(answer).toContain("Paris");
  });

  test("SIGTERM ends every process with exit 0", { timeout: START_TIMEOUT_MS }, async () => {
    const containers = await containersOf(quern);
    expect(containers).toHaveLength(5);
    await quern.compose("stop", "--timeout", "30");
    const ends = await Promise.all(
      containers.map(async (container) => {
        const { Name, State } = await inspect(quern, container);
        return `${Name} ${State.Status} ${State.ExitCode}`;
      }),
    );
    for (const end of ends) expect(end).toMatch(/ exited 0$/);
  });
});

type Plan =
  | { whyNot: string }
  | {
      how: string;
      quern: Composition;
      url: string;
      made: string[];
      images: { gateway: string; scheduler: string; worker: string };
    };

async function planRun(): Promise<Plan> {
  const { engine, ...search } = await findDockerEngine();
  if (engine === null) return "whyNot" in search ? search : { whyNot: "no Docker engine answers" };
  const command = await findComposeCommand();
  if (command === null) return { whyNot: "neither `docker compose` nor `docker-compose` is installed" };

  const file = await readComposeFile(join(root, "docker-compose.yml"));
  const upstream = {
    node: withDefaults(file.services.gateway?.build?.args?.BASE_IMAGE ?? ""),
    redis: withDefaults(file.services.redis?.image ?? ""),
  };
  const port = await freePort();
  const project = `quern-test-${process.pid}-${port}`;
  const bases = await findBaseImages(engine, upstream, {
    makeImageScript: join(import.meta.dirname, "make-base-image.sh"),
    version: project,
  });
  if ("whyNot" in bases) return bases;
  const images = {
    gateway: `${project}/gateway`,
    scheduler: `${project}/scheduler`,
    worker: `${project}/worker`,
  };
  return {
    how: `${command.join(" ")} on Docker ${engine.version}, images from ${bases.node} and ${bases.redis}`,
    url: `http://127.0.0.1:${port}`,
    made: bases.made,
    images,
    quern: composition({
      command,
      project,
      directory: root,
      files: [join(root, "docker-compose.yml"), join(import.meta.dirname, "build-on-host-network.yml")],
      environment: {
        DOCKER_HOST: engine.host,
        BASE_IMAGE: bases.node,
        REDIS_IMAGE: bases.redis,
        QUERN_PUBLISHED_PORT: String(port),
        QUERN_GATEWAY_IMAGE: images.gateway,
        QUERN_SCHEDULER_IMAGE: images.scheduler,
        QUERN_WORKER_IMAGE: images.worker,
        QUERN_THREADS: "1",
      },
    }),
  };
}

async function ask(url: string, question: string): Promise<string> {
  const reply = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(chatBody(await servedModel(url), question)),
    signal: AbortSignal.timeout(30_000),
  });
  const text = await reply.text();
  if (!reply.ok) throw new Error(`the gateway answered ${reply.status}: ${text}`);
  return JSON.parse(text).choices[0].message.content;
}

async function runJob(url: string, question: string): Promise<{ id: string; response: unknown }> {
  const created = await fetch(`${url}/v1/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      endpoint: "/v1/chat/completions",
      body: chatBody(await servedModel(url), question),
    }),
  });
  expect(created.status).toBe(202);
  const { id } = (await created.json()) as { id: string };
  const ended = await fetch(`${url}/v1/jobs/${id}?wait=20`);
  const job = (await ended.json()) as { id: string; status: string; response: unknown };
  expect(job.status).toBe("completed");
  return job;
}

function chatBody(model: string, question: string): object {
  return { model, messages: [{ role: "user", content: question }], temperature: 0 };
}

async function servedModel(url: string): Promise<string> {
  const [worker] = await readyWorkers(url);
  if (worker === undefined) throw new Error("no worker is ready");
  return worker.model;
}

async function readyWorkers(url: string): Promise<{ host: string; model: string }[]> {
  const reply = await fetch(`${url}/v1/workers`, { signal: AbortSignal.timeout(5_000) });
  if (!reply.ok) throw new Error(`/v1/workers answered ${reply.status}`);
  const { data } = (await reply.json()) as { data: { host: string; model: string; state: string }[] };
  return data.filter(({ state }) => state === "ready");
}

/** The hosts of the `count` ready workers. */
function untilWorkersReady(url: string, count: number): Promise<string[]> {
  return eventually(`${count} ready worker(s)`, async () => {
    const workers = await readyWorkers(url);
    if (workers.length !== count) throw new Error(`${workers.length} worker(s) are ready`);
    return workers.map(({ host }) => host);
  });
}

async function untilHealthy(quern: Composition, services: string[]): Promise<void> {
  for (const service of services) {
    await eventually(`${service} is healthy`, async () => {
      const [container = ""] = await containersOf(quern, service);
      const { State } = await inspect(quern, container);
      if (State.Health?.Status !== "healthy") throw new Error(JSON.stringify(State.Health ?? State));
    });
  }
}

/** Tries twice a second, within the START_TIMEOUT_MS of the test around it. */
async function eventually<T>(what: string, attempt: () => Promise<T>): Promise<T> {
  const deadlineAtMs = performance.now() + START_TIMEOUT_MS - 10_000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > deadlineAtMs) throw new Error(`gave up waiting for: ${what}`, { cause: error });
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

async function containersOf(quern: Composition, ...services: string[]): Promise<string[]> {
  const ids = await quern.compose("ps", "--quiet", ...services);
  return ids.split("\n").filter((id) => id !== "");
}

interface ContainerDetails {
  Name: string;
  Config: { User: string };
  HostConfig: Record<string, unknown>;
  State: { Status: string; ExitCode: number; Health?: { Status: string } };
}

async function inspect(quern: Composition, container: string): Promise<ContainerDetails> {
  const [details] = JSON.parse(await quern.docker("inspect", container)) as ContainerDetails[];
  if (details === undefined) throw new Error(`no container ${container}`);
  return details;
}
