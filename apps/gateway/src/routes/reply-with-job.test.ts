import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { connectRedis } from "@quern/shared/redis/connect";
import { newJob } from "@quern/shared/redis/new-job.fixture";
import { freePort } from "@quern/testing/free-port";
import express from "express";
import { expect, onTestFinished, test } from "vitest";
import { KnownModels } from "../admission/known-models.ts";
import { replyWithJob } from "./reply-with-job.ts";
import type { RouteContext } from "./route.ts";

test("an accepted job is answered with 202 and its id also when Redis is away by then", async () => {
  const redis = connectRedis(`redis://127.0.0.1:${await freePort()}`, "request", () => {});
  onTestFinished(() => redis.disconnect());
  const context = { redis, knownModels: new KnownModels(redis, { entries: [] }) } as unknown as RouteContext;
  const webhook = { url: "https://example.com/told", secret: null };
  const job = newJob({ metadata: { order: "7" }, webhook });
  const app = express();
  app.post("/", (_request, response) => replyWithJob(context, { job, replayed: false }, response));
  const http = createServer(app).listen(0, "127.0.0.1");
  await once(http, "listening");
  onTestFinished(() => void http.close());

  const reply = await fetch(`http://127.0.0.1:${(http.address() as AddressInfo).port}/`, {
    method: "POST",
    headers: { connection: "close" },
  });
  expect(reply.status).toBe(202);
  expect(reply.headers.get("location")).toBe(`/v1/jobs/${job.id}`);
  expect(await reply.json()).toMatchObject({
    id: job.id,
    status: "queued",
    metadata: { order: "7" },
    webhook: { url: webhook.url },
  });
});
