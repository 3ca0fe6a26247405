import { expect, test } from "vitest";
import { composeSchemaErrors, withDefaults } from "./docker-compose-file.ts";

const redis = { image: "redis:7-alpine", init: true };

test("accepts a valid file", async () => {
  expect(await composeSchemaErrors({ services: { redis } })).toEqual([]);
});

test("names an unknown key and a value of the wrong type", async () => {
  const errors = await composeSchemaErrors({ services: { redis: { ...redis, ports: 8080, imagee: "x" } } });
  expect(errors.join("\n")).toContain('"additionalProperty":"imagee"');
  expect(errors.join("\n")).toContain("/services/redis/ports");
});

test("reads defaults as compose does", () => {
  expect(withDefaults("127.0.0.1:$" + "{PORT:-8080}:8080")).toBe("127.0.0.1:8080:8080");
  expect(withDefaults("redis:7-alpine")).toBe("redis:7-alpine");
});
