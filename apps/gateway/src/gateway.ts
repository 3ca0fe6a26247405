import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { QuernError } from "@quern/shared/contract/errors";
import { openFileStore } from "@quern/shared/files/open-file-store";
import { loadCatalogue } from "@quern/shared/models/catalogue";
import { createLogger } from "@quern/shared/process/logger";
import { tellReady } from "@quern/shared/process/supervised";
import { startTelemetry } from "@quern/shared/process/telemetry";
import { connectRedis } from "@quern/shared/redis/connect";
import { EvictionWatch } from "./admission/eviction-watch.ts";
import { KnownModels } from "./admission/known-models.ts";
import { SubmitTurns } from "./admission/submit-turns.ts";
import { TokenCounter } from "./admission/token-counter.ts";
import { createApp, HEALTH_PATHS } from "./app.ts";
import type { GatewayConfig } from "./config.ts";
import { JobQueues } from "./dispatch/job-queues.ts";
import { Arrivals } from "./estimate/arrivals.ts";
import { gatewayEvents } from "./events.ts";
import { EventHub } from "./follow/event-hub.ts";
import { httpInstrumentation } from "./http/http-instrumentation.ts";
import { OpenRequests } from "./http/open-requests.ts";

/** For the largest file over a slow line: Node's five minutes are too short for that. Other bodies: `http/body-time-limit.ts`. */
const REQUEST_TIMEOUT_MS = 3_600_000;
/** Longer than common load balancers keep an idle connection (60 s): the one that closes it must know that it is unused. */
const IDLE_CONNECTION_MS = 75_000;
/** A connection that has not said anything yet may be idle for as long as any other. */
const HEADERS_TIMEOUT_MS = IDLE_CONNECTION_MS + 5_000;
/** How late Node may notice that a request is over its time. */
const TIMEOUT_CHECK_INTERVAL_MS = 5_000;
/** Connections that a burst opens while the event loop is busy: the kernel resets those above it. Node's own bound is 511. */
const MAX_UNACCEPTED_CONNECTIONS = 4_096;
/** For streams to say goodbye when their time is up. */
const GOODBYE_MS = 1_000;

/**
 * A gateway from its first connection to its last: listen, serve until `stop`, drain. Resolves when all is closed.
 * Redis may be away when it starts: it then answers 503 until Redis is there.
 * @throws QuernError `port_in_use`, `catalogue_invalid`.
 */
export async function runGateway(config: GatewayConfig, stop: AbortSignal): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const events = gatewayEvents(createLogger({ service: "gateway", ...config.log }));
  stack.use(
    await startTelemetry({
      enabled: config.telemetry,
      serviceName: "quern-gateway",
      instrumentations: httpInstrumentation,
    }),
  );
  const catalogue = await loadCatalogue(config.catalogueFile);

  const fileStore = await openFileStore(config.files.store);
  stack.defer(() => fileStore.close());

  const redis = connectRedis(config.redisUrl, "request", events.redisError);
  stack.defer(() => redis.disconnect());
  const subscriber = connectRedis(config.redisUrl, "subscribe", events.redisError);
  stack.defer(() => subscriber.disconnect());
  const queues = new JobQueues(redis, events.redisError);
  stack.defer(() => queues.close());

  const evictionWatch = new EvictionWatch(redis, events.redisEvicts);
  const draining = new AbortController();
  const closing = new AbortController();
  const openRequests = new OpenRequests(HEALTH_PATHS);
  const app = createApp(
    {
      redis,
      queues,
      hub: new EventHub(subscriber),
      arrivals: new Arrivals(),
      knownModels: new KnownModels(redis, catalogue),
      tokenCounter: new TokenCounter(redis, subscriber),
      evictionWatch,
      submitTurns: new SubmitTurns(),
      fileStore,
      maxFileBytes: config.files.maxBytes,
      retention: config.retention,
      idempotencySeconds: config.idempotencySeconds,
      batchDedupe: config.batchDedupe,
      webhookRules: config.webhookRules,
      draining: draining.signal,
      closing: closing.signal,
    },
    events,
    openRequests,
    config.http,
  );
  const server = createServer(
    {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      keepAliveTimeout: IDLE_CONNECTION_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_INTERVAL_MS,
    },
    app,
  );
  events.listening(await listen(server, config.listen));
  tellReady();

  if (!stop.aborted) await once(stop, "abort");
  events.draining();
  await drain(server, openRequests, draining, closing, config.drainGraceMs);
  events.drained();
}

/** @throws QuernError `port_in_use` */
async function listen(server: Server, { host, port }: GatewayConfig["listen"]): Promise<string> {
  server.listen({ port, host, backlog: MAX_UNACCEPTED_CONNECTIONS });
  try {
    await once(server, "listening");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "EADDRINUSE") throw error;
    throw new QuernError(
      "port_in_use",
      `port ${port} on ${host} is taken: stop what uses it, or choose another with QUERN_PORT (npm start -- --port)`,
      { cause: error },
    );
  }
  const { address, family, port: bound } = server.address() as AddressInfo;
  return `http://${family === "IPv6" ? `[${address}]` : address}:${bound}`;
}

/**
 * Finishes what runs, up to a limit, while `/readyz` tells whoever sends requests that there is no more to send here;
 * then lets go of whoever waits.
 */
async function drain(
  server: Server,
  openRequests: OpenRequests,
  draining: AbortController,
  closing: AbortController,
  graceMs: number,
): Promise<void> {
  draining.abort();
  await openRequests.none(AbortSignal.timeout(graceMs));
  const closed = once(server, "close");
  server.close();
  server.closeIdleConnections();
  closing.abort();
  await Promise.race([closed, sleep(GOODBYE_MS, undefined, { ref: false })]);
  server.closeAllConnections();
  await closed;
}
