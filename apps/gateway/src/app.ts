import express, { type Express, type Request } from "express";
import type { GatewayEvents } from "./events.ts";
import { bodyTimeLimit } from "./http/body-time-limit.ts";
import { errorReply } from "./http/error-reply.ts";
import { jsonBody } from "./http/json-body.ts";
import type { OpenRequests } from "./http/open-requests.ts";
import { requestId } from "./http/request-id.ts";
import { type HostPolicy, webPageGuard } from "./http/web-page-guard.ts";
import { openApiRoute } from "./openapi/openapi-route.ts";
import { batchEventsRoute } from "./routes/batch-events.ts";
import { cancelBatchRoute } from "./routes/cancel-batch.ts";
import { cancelJobRoute } from "./routes/cancel-job.ts";
import { cancelResponseRoute } from "./routes/cancel-response.ts";
import { chatCompletionsRoute } from "./routes/chat-completions.ts";
import { completionsRoute } from "./routes/completions.ts";
import { createBatchRoute } from "./routes/create-batch.ts";
import { createFileRoute } from "./routes/create-file.ts";
import { createJobRoute } from "./routes/create-job.ts";
import { deleteFileRoute } from "./routes/delete-file.ts";
import { deleteJobRoute } from "./routes/delete-job.ts";
import { deleteResponseRoute } from "./routes/delete-response.ts";
import { embeddingsRoute } from "./routes/embeddings.ts";
import { fileContentRoute } from "./routes/file-content.ts";
import { getBatchRoute } from "./routes/get-batch.ts";
import { getFileRoute } from "./routes/get-file.ts";
import { getJobRoute } from "./routes/get-job.ts";
import { getResponseRoute } from "./routes/get-response.ts";
import { healthzRoute, readyzRoute } from "./routes/health.ts";
import { jobEventsRoute } from "./routes/job-events.ts";
import { listBatchesRoute } from "./routes/list-batches.ts";
import { listFilesRoute } from "./routes/list-files.ts";
import { listJobsRoute } from "./routes/list-jobs.ts";
import { getModelRoute, listModelsRoute } from "./routes/models.ts";
import { notFoundRoute } from "./routes/not-found.ts";
import { pauseBatchRoute } from "./routes/pause-batch.ts";
import { responsesRoute } from "./routes/responses.ts";
import { retryBatchRoute } from "./routes/retry-batch.ts";
import { retryJobRoute } from "./routes/retry-job.ts";
import type { RouteContext } from "./routes/route.ts";
import { listWorkersRoute } from "./routes/workers.ts";

/** Asked by machines, every few seconds. */
export const HEALTH_PATHS = ["/healthz", "/readyz"];

function isUpload({ method, path }: Request): boolean {
  return method === "POST" && path === "/v1/files";
}

/** All that is between HTTP and the routes, and where each of them hangs. */
export function createApp(
  context: RouteContext,
  events: GatewayEvents,
  openRequests: OpenRequests,
  options: { maxBodyBytes: number; bodyTimeoutMs: number; hosts: HostPolicy },
): Express {
  const app = express();
  app.disable("x-powered-by").disable("etag");
  app.use(requestId);
  app.use(openRequests.count);
  app.use((_request, response, next) => {
    // A client that kept its connection would send its next request here again.
    if (context.draining.aborted) response.setHeader("connection", "close");
    next();
  });
  app.use((request, response, next) => {
    const beganMs = performance.now();
    response.once("close", () => events.requestServed(request, response, performance.now() - beganMs));
    next();
  });
  app.use(bodyTimeLimit({ limitMs: options.bodyTimeoutMs, isLong: isUpload }));
  app.use(webPageGuard(options.hosts));

  const json = jsonBody(options.maxBodyBytes);
  app.post("/v1/chat/completions", json, chatCompletionsRoute(context));
  app.post("/v1/completions", json, completionsRoute(context));
  app.post("/v1/embeddings", json, embeddingsRoute(context));
  app.post("/v1/responses", json, responsesRoute(context));
  app.get("/v1/responses/:id", getResponseRoute(context));
  app.delete("/v1/responses/:id", deleteResponseRoute(context));
  app.post("/v1/responses/:id/cancel", cancelResponseRoute(context));
  app.post("/v1/jobs", json, createJobRoute(context));
  app.get("/v1/jobs", listJobsRoute(context));
  app.get("/v1/jobs/:id", getJobRoute(context));
  app.delete("/v1/jobs/:id", deleteJobRoute(context));
  app.post("/v1/jobs/:id/retry", retryJobRoute(context));
  app.post("/v1/jobs/:id/cancel", cancelJobRoute(context));
  app.get("/v1/jobs/:id/events", jobEventsRoute(context));
  app.post("/v1/files", createFileRoute(context, options.bodyTimeoutMs));
  app.get("/v1/files", listFilesRoute(context));
  app.get("/v1/files/:id", getFileRoute(context));
  app.delete("/v1/files/:id", deleteFileRoute(context));
  app.get("/v1/files/:id/content", fileContentRoute(context));
  app.post("/v1/batches", json, createBatchRoute(context));
  app.get("/v1/batches", listBatchesRoute(context));
  app.get("/v1/batches/:id", getBatchRoute(context));
  app.post("/v1/batches/:id/cancel", cancelBatchRoute(context));
  app.post("/v1/batches/:id/pause", pauseBatchRoute(context, "pause"));
  app.post("/v1/batches/:id/resume", pauseBatchRoute(context, "resume"));
  app.post("/v1/batches/:id/retry-failed", retryBatchRoute(context));
  app.get("/v1/batches/:id/events", batchEventsRoute(context));
  app.get("/v1/models", listModelsRoute(context));
  app.get("/v1/models/:id", getModelRoute(context));
  app.get("/v1/workers", listWorkersRoute(context));
  app.get("/healthz", healthzRoute);
  app.get("/readyz", readyzRoute(context));
  app.get("/openapi.json", openApiRoute);
  app.use(notFoundRoute);
  app.use(errorReply(events));
  return app;
}
