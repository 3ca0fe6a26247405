import type { NodeSDKConfiguration } from "@opentelemetry/sdk-node";

export interface TelemetryOptions {
  /** Whether an OTLP endpoint is configured. Off, nothing is loaded and every span is a no-op. */
  enabled: boolean;
  serviceName: string;
  /** Whether metrics are exported as well, for processes that make any. */
  metrics?: "exported" | "off";
  instrumentations?: () => Promise<NodeSDKConfiguration["instrumentations"]>;
}

/** A collector that is away must not hold up the end of a process. */
const FLUSH_TIMEOUT_MS = 2_000;

/**
 * Starts exporting traces, and metrics where there are any, as the standard `OTEL_*` variables say; disposing flushes
 * them. Call it before what is to be instrumented is loaded. Logs stay off: they go to stdout.
 */
export async function startTelemetry(options: TelemetryOptions): Promise<AsyncDisposable> {
  if (!options.enabled) return { [Symbol.asyncDispose]: async () => {} };
  // Half a second to load, which only those pay who trace.
  const { startNodeSdk } = await import("@opentelemetry/sdk-node");
  const sdk = startNodeSdk({
    logLevel: "error",
    resourceAttributes: { "service.name": options.serviceName },
    // Without a list the SDK makes a reader as the variables say.
    ...(options.metrics === "exported" ? {} : { metricReaders: [] }),
    logRecordProcessors: [],
    instrumentations: (await options.instrumentations?.()) ?? [],
  });
  return {
    [Symbol.asyncDispose]: async () => {
      const timeout = Promise.withResolvers<void>();
      const timer = setTimeout(timeout.resolve, FLUSH_TIMEOUT_MS);
      await Promise.race([sdk.shutdown().catch(() => {}), timeout.promise]);
      clearTimeout(timer);
    },
  };
}
