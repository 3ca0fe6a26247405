import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

/** A span as it was exported. Times are Unix milliseconds. */
export interface ReceivedSpan {
  service: string;
  traceId: string;
  spanId: string;
  /** null for the root of its trace. */
  parentSpanId: string | null;
  /** Traces that it is linked to. */
  linkedTraceIds: string[];
  name: string;
  kind: number;
  startMs: number;
  endMs: number;
  attributes: Record<string, unknown>;
}

export interface OtlpReceiver extends AsyncDisposable {
  /** The variables that make a process export to it. */
  readonly env: Record<string, string>;
  readonly spans: readonly ReceivedSpan[];
  /** Resolves when the condition holds for what has come in so far. */
  until(condition: (spans: readonly ReceivedSpan[]) => boolean): Promise<void>;
  /** Resolves when a metric of that name has come in with a value. */
  untilMetric(name: string): Promise<void>;
}

/** A collector that keeps what it gets: OTLP over HTTP in JSON, https://opentelemetry.io/docs/specs/otlp/#otlphttp */
export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = [];
  const metricNames = new Set<string>();
  let heard = Promise.withResolvers<void>();
  const server = createServer(async (request, response) => {
    if (request.url === "/v1/metrics") {
      for (const name of metricNamesOf(JSON.parse(await bodyOf(request)))) metricNames.add(name);
    }
    if (request.url === "/v1/traces") spans.push(...spansOf(JSON.parse(await bodyOf(request))));
    response.writeHead(200, { "content-type": "application/json" }).end("{}");
    heard.resolve();
    heard = Promise.withResolvers();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      // Soon, so that a test need not wait for the usual five seconds.
      OTEL_BSP_SCHEDULE_DELAY: "100",
      OTEL_METRIC_EXPORT_INTERVAL: "200",
    },
    spans,
    until: async (condition) => {
      while (!condition(spans)) await heard.promise;
    },
    untilMetric: async (name) => {
      while (!metricNames.has(name)) await heard.promise;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += chunk;
  return text;
}

interface KeyValue {
  key: string;
  value: Record<string, unknown>;
}

interface ExportRequest {
  resourceSpans: {
    resource: { attributes: KeyValue[] };
    scopeSpans: {
      spans: {
        traceId: string;
        spanId: string;
        parentSpanId?: string;
        links?: { traceId: string }[];
        name: string;
        kind: number;
        startTimeUnixNano: string;
        endTimeUnixNano: string;
        attributes: KeyValue[];
      }[];
    }[];
  }[];
}

interface MetricsExportRequest {
  resourceMetrics: {
    scopeMetrics: { metrics: { name: string; histogram?: { dataPoints: object[] } }[] }[];
  }[];
}

function metricNamesOf({ resourceMetrics }: MetricsExportRequest): string[] {
  return resourceMetrics
    .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
    .filter(({ histogram }) => (histogram?.dataPoints.length ?? 0) > 0)
    .map(({ name }) => name);
}

function spansOf({ resourceSpans }: ExportRequest): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = String(attributesOf(resource.attributes)["service.name"]);
    return scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        service,
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId || null,
        linkedTraceIds: (span.links ?? []).map(({ traceId }) => traceId),
        name: span.name,
        kind: span.kind,
        startMs: Number(BigInt(span.startTimeUnixNano) / 1_000n) / 1_000,
        endMs: Number(BigInt(span.endTimeUnixNano) / 1_000n) / 1_000,
        attributes: attributesOf(span.attributes),
      })),
    );
  });
}

/** `{stringValue: "x"}` → `"x"`; lists stay as they come. */
function attributesOf(pairs: KeyValue[]): Record<string, unknown> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, Object.values(value)[0]]));
}
