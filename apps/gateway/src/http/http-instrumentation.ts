import type { IncomingMessage } from "node:http";
import { createRequire } from "node:module";

/**
 * Spans for incoming requests. The instrumentation patches `http` when it is next required, which is what the
 * `require` is for: by now it has been imported long ago. The patch is on the prototype, so that is early enough.
 */
export async function httpInstrumentation() {
  const { HttpInstrumentation } = await import("@opentelemetry/instrumentation-http");
  const instrumentation = new HttpInstrumentation({
    disableOutgoingRequestInstrumentation: true,
    // The pattern, not the path: ids don't belong into names. Express has set it by the time the span ends.
    applyCustomAttributesOnSpan: (span, request) => {
      const route = (request as { route?: { path?: unknown } }).route?.path;
      if (typeof route !== "string") return;
      span.updateName(`${(request as IncomingMessage).method} ${route}`).setAttribute("http.route", route);
    },
    ignoreIncomingRequestHook: ({ url }) => url === "/healthz" || url === "/readyz",
  });
  queueMicrotask(() => createRequire(import.meta.url)("node:http"));
  return [instrumentation];
}
