import { createRequire } from "node:module";

/**
 * Spans for incoming requests. The instrumentation patches `http` when it is next required, which is what the
 * `require` is for: by now it has been imported long ago. The patch is on the prototype, so that is early enough.
 */
export async function httpInstrumentation() {
  const { HttpInstrumentation } = await import("@opentelemetry/instrumentation-http");
  const instrumentation = new HttpInstrumentation({
    disableOutgoingRequestInstrumentation: true,
    ignoreIncomingRequestHook: ({ url }) => url === "/healthz" || url === "/readyz",
  });
  queueMicrotask(() => createRequire(import.meta.url)("node:http"));
  return [instrumentation];
}
