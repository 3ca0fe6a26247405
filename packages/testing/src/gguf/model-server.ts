import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What the server does to one request, instead of simply answering it. */
type Fault =
  | { kind: "status"; status: number; headers?: Record<string, string> }
  /** Sends this many bytes of the body, then nothing more (until `cutConnections`). */
  | { kind: "silence"; afterBytes: number };

interface ServedRequest {
  path: string;
  range: string | null;
  authorization: string | null;
}

export interface ModelServer extends AsyncDisposable {
  origin: string;
  /** By path; may be changed at any time, which changes the ETag too. */
  files: Map<string, Buffer>;
  /** Body of `/api/models/<repo>`, by repository. */
  repositories: Map<string, unknown>;
  /** path → where it redirects, with these headers. */
  redirects: Map<string, { location: string; headers: Record<string, string> }>;
  /** Taken one by one by the requests for files. */
  faults: Fault[];
  requests: ServedRequest[];
  /** As servers do that know no ranges. */
  ignoreRanges: boolean;
  cutConnections: () => void;
}

/** A Hugging Face of our own on loopback, as unreliable as a test needs. Follows RFC 9110 for ranges and If-Range. */
export async function startModelServer(): Promise<ModelServer> {
  const http = createServer((request, response) => answer(server, request, response));
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const server: ModelServer = {
    origin: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    files: new Map(),
    repositories: new Map(),
    redirects: new Map(),
    faults: [],
    requests: [],
    ignoreRanges: false,
    cutConnections: () => http.closeAllConnections(),
    async [Symbol.asyncDispose]() {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
  return server;
}

function answer(server: ModelServer, request: IncomingMessage, response: ServerResponse): void {
  const path = decodeURIComponent(new URL(request.url ?? "/", server.origin).pathname);
  const { range, authorization } = request.headers;
  server.requests.push({ path, range: range ?? null, authorization: authorization ?? null });

  const repository = server.repositories.get(path.replace(/^\/api\/models\//, ""));
  if (repository !== undefined && path.startsWith("/api/")) {
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(repository));
    return;
  }
  const redirect = server.redirects.get(path);
  if (redirect !== undefined) {
    response.writeHead(302, { location: redirect.location, ...redirect.headers }).end();
    return;
  }
  const fault = server.faults.shift();
  if (fault?.kind === "status") {
    response.writeHead(fault.status, fault.headers).end();
    return;
  }
  const file = server.files.get(path);
  if (file === undefined) {
    response.writeHead(404).end();
    return;
  }
  sendFile(file, server.ignoreRanges ? {} : request.headers, response, fault);
}

function sendFile(
  file: Buffer,
  headers: IncomingMessage["headers"],
  response: ServerResponse,
  fault: Exclude<Fault, { kind: "status" }> | undefined,
): void {
  const etag = `"${createHash("md5").update(file).digest("hex")}"`;
  const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? "")?.[1] ?? 0);
  const ranged = headers.range !== undefined && (headers["if-range"] ?? etag) === etag;
  if (ranged && from >= file.length) {
    response.writeHead(416, { "content-range": `bytes */${file.length}` }).end();
    return;
  }
  const body = ranged ? file.subarray(from) : file;
  const contentRange = { "content-range": `bytes ${from}-${file.length - 1}/${file.length}` };
  response.writeHead(ranged ? 206 : 200, {
    etag,
    "content-length": body.length,
    ...(ranged ? contentRange : {}),
  });
  if (fault === undefined) response.end(body);
  else response.write(body.subarray(0, fault.afterBytes));
}
