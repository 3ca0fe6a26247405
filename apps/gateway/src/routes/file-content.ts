import { pipeline } from "node:stream/promises";
import { fileMissing } from "@quern/shared/files/file-faults";
import { fileKey } from "@quern/shared/files/file-key";
import type { RequestHandler } from "express";
import { authenticate } from "../auth/authenticate.ts";
import { requestedRange } from "../http/requested-range.ts";
import { findFile } from "./find-file.ts";
import type { RouteContext } from "./route.ts";

/** `GET /v1/files/{id}/content`: all of it, or the one range that is asked for. Reads as fast as the caller takes it, and no further. */
export function fileContentRoute({ redis, fileStore }: RouteContext): RequestHandler<{ id: string }> {
  return async (request, response) => {
    const file = await findFile(redis, authenticate(request), request.params.id);
    response.locals.fileId = file.id;
    const key = fileKey(file);
    const size = await fileStore.size(key);
    if (size === null) throw fileMissing(file.id);
    // Always saved, never shown: what a tenant uploads must not run as a page of this origin.
    response.attachment(file.filename).type("application/octet-stream");
    response.set({ "x-content-type-options": "nosniff", "accept-ranges": "bytes" });
    const range = requestedRange(request.headers, size);
    if (range === "unsatisfiable") {
      response.status(416).set("content-range", `bytes */${size}`).removeHeader("content-disposition");
      response.end();
      return;
    }
    const { start, end } = range ?? { start: 0, end: size };
    if (range !== null) response.status(206).set("content-range", `bytes ${start}-${end - 1}/${size}`);
    response.set("content-length", String(end - start));
    if (request.method === "HEAD") {
      response.end();
      return;
    }
    await pipeline(fileStore.read(key, { start, end }), response).catch((error) => {
      // The caller took what it wanted, and left.
      if ((error as NodeJS.ErrnoException).code !== "ERR_STREAM_PREMATURE_CLOSE") throw error;
    });
  };
}
