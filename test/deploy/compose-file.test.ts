import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { composeSchemaErrors, readComposeFile, withDefaults } from "@quern/testing/docker-compose-file";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..");
const file = await readComposeFile(join(root, "docker-compose.yml"));
const dockerfile = await readFile(join(root, "deploy", "Dockerfile"), "utf8");
const services = Object.entries(file.services);
const { redis, gateway, scheduler, worker, "worker-gpu": workerGpu } = file.services;
const built = services.filter(([, service]) => service.build !== undefined);

test("the compose file and the tests' override keep to the compose specification", async () => {
  expect(await composeSchemaErrors(file)).toEqual([]);
  const override = await readComposeFile(join(import.meta.dirname, "build-on-host-network.yml"));
  expect(await composeSchemaErrors(override)).toEqual([]);
  expect(Object.keys(file.services)).toEqual(expect.arrayContaining(Object.keys(override.services)));
});

test("it has no name of its own: compose 1 refuses one, and two checkouts may run side by side", () => {
  expect(file.name).toBeUndefined();
});

test("Redis loses no accepted work and drops none for room", () => {
  const command = redis?.command?.join(" ");
  expect(command).toContain("--appendonly yes --appendfsync always");
  expect(command).toContain("--maxmemory-policy noeviction");
  expect(redis?.volumes).toEqual(["redis:/data"]);
  expect(file.volumes).toHaveProperty("redis");
  expect(redis?.ports).toBeUndefined();
});

test.each(services)("%s runs unprivileged, under an init, and comes back by itself", (_name, service) => {
  const [uid] = service.user?.split(":") ?? [];
  expect(Number(uid)).toBeGreaterThan(0);
  expect(service).toMatchObject({
    init: true,
    read_only: true,
    restart: "unless-stopped",
    tmpfs: ["/tmp"],
    cap_drop: ["ALL"],
  });
  expect(service.healthcheck?.test[0]).toBe("CMD");
  expect(service.stop_grace_period).toMatch(/^\d+[sm]$/);
});

test("every published port is bound to loopback", () => {
  const published = services.flatMap(([, service]) => service.ports ?? []).map(withDefaults);
  expect(published).toEqual(["127.0.0.1:8080:8080"]);
});

test("the gateway listens without keys only because its port is published on loopback", () => {
  expect(gateway?.environment).toMatchObject({
    QUERN_HOST: "0.0.0.0",
    QUERN_ALLOW_UNAUTHENTICATED: "container",
    QUERN_ALLOWED_HOSTS: null,
  });
  expect(worker?.environment).not.toHaveProperty("QUERN_ALLOW_UNAUTHENTICATED");
  expect(gateway?.healthcheck?.test.join(" ")).toContain("http://127.0.0.1:8080/readyz");
});

test("all processes meet at the one Redis, and start when it answers", () => {
  for (const service of [gateway, scheduler, worker, workerGpu]) {
    expect(service?.environment).toMatchObject({
      REDIS_URL: "redis://redis:6379",
      QUERN_LOG_FORMAT: "json",
      OTEL_EXPORTER_OTLP_ENDPOINT: null,
    });
    expect(service?.depends_on).toEqual({ redis: { condition: "service_healthy" } });
  }
});

test("gateway and scheduler agree on the secrets and the rule for receivers", () => {
  for (const service of [gateway, scheduler]) {
    expect(service?.environment).toMatchObject({
      QUERN_WEBHOOK_SECRET: null,
      QUERN_WEBHOOK_ALLOW_PRIVATE: null,
    });
  }
  expect(worker?.environment).not.toHaveProperty("QUERN_WEBHOOK_SECRET");
});

test("the GPU worker is asked for by its profile and reserves one NVIDIA device", () => {
  expect(workerGpu?.profiles).toEqual(["gpu"]);
  expect(services.filter(([, { profiles }]) => profiles === undefined).map(([name]) => name)).toEqual([
    "redis",
    "gateway",
    "scheduler",
    "worker",
  ]);
  const [device, ...more] = workerGpu?.deploy?.resources?.reservations?.devices ?? [];
  expect(more).toEqual([]);
  expect(device).toMatchObject({ driver: "nvidia", capabilities: ["gpu"] });
  expect(device?.device_ids).toHaveLength(1);
  expect(worker?.deploy).toBeUndefined();
});

test("a worker keeps downloaded models where its image gives the folder to its user", () => {
  for (const service of [worker, workerGpu]) {
    expect(service?.volumes).toEqual([`models:${service?.environment?.QUERN_MODEL_CACHE_DIR}`]);
    expect(dockerfile).toContain(`chown 1000:1000 ${service?.environment?.QUERN_MODEL_CACHE_DIR}`);
  }
  expect(file.volumes).toHaveProperty("models");
});

test("gateway and scheduler keep files in the same place, which their images give to their user", () => {
  for (const [service, stage] of [
    [gateway, "gateway"],
    [scheduler, "scheduler"],
  ] as const) {
    const folder = withDefaults(String(service?.environment?.QUERN_FILES));
    expect(service?.volumes).toEqual([`files:${folder}`]);
    expect(service?.environment).toMatchObject({ QUERN_S3_ENDPOINT: null, AWS_ACCESS_KEY_ID: null });
    const text = stages().find(({ name }) => name === stage)?.text;
    expect(text).toContain(`chown 1000:1000 ${folder}`);
  }
  expect(file.volumes).toHaveProperty("files");
});

test.each(built)(
  "%s is built from a stage of the Dockerfile, with arguments that it takes",
  (_name, { build }) => {
    expect(build).toMatchObject({ context: ".", dockerfile: "deploy/Dockerfile" });
    expect(stages().map(({ name }) => name)).toContain(build?.target);
    for (const [name, value] of Object.entries(build?.args ?? {})) {
      expect(dockerfile).toContain(`ARG ${name}=${withDefaults(value)}\n`);
    }
  },
);

test.each(built)(
  "%s's image runs one process by exec form, not as root, from locked packages",
  (_name, service) => {
    const stage = stages().find(({ name }) => name === service.build?.target);
    expect(stage?.text).toContain(`USER ${service.user}\n`);
    const [, command] = /^CMD (\[.*\])$/m.exec(stage?.text ?? "") ?? [];
    const [program, entryPoint] = JSON.parse(command ?? "[]");
    expect(program).toBe("node");
    expect(entryPoint).toMatch(/^apps\/(gateway|scheduler|worker)\/src\/main\.ts$/);
    expect(
      dockerfile.match(/npm (ci|install|i)\b.*/g)?.every((line) => /^npm ci --omit=dev/.test(line)),
    ).toBe(true);
  },
);

test("the CPU worker's packages leave the GPU binaries out; the GPU worker's keep them", () => {
  const text = (wanted: string) => stages().find(({ name }) => name === wanted)?.text ?? "";
  expect(text("worker-packages")).toContain("without-gpu-binaries.mjs package-lock.json");
  expect(text("worker-gpu-packages")).not.toContain("without-gpu-binaries");
  expect(text("worker-gpu")).toContain("COPY --from=worker-gpu-packages");
});

test("the build context holds the images' needs only", async () => {
  const ignored = await readFile(join(root, ".dockerignore"), "utf8");
  const rules = ignored.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  expect(rules[0]).toBe("*");
  expect(rules).toContain("**/node_modules");
  expect(rules.some((rule) => /\.env|\.git/.test(rule))).toBe(false);
});

/** The Dockerfile's stages, in order. */
function stages(): { name: string; text: string }[] {
  return dockerfile
    .split(/^(?=FROM )/m)
    .slice(1)
    .map((text) => ({ name: / AS (\S+)/.exec(text)?.[1] ?? "", text }));
}
