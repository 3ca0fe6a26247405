import { toFileObject } from "@quern/shared/openai/file-object";
import type { RequestHandler } from "express";
import { authenticate } from "../auth/authenticate.ts";
import { findFile } from "./find-file.ts";
import type { RouteContext } from "./route.ts";

/** `GET /v1/files/{id}` */
export function getFileRoute({ redis }: RouteContext): RequestHandler<{ id: string }> {
  return async (request, response) => {
    const file = await findFile(redis, authenticate(request), request.params.id);
    response.locals.fileId = file.id;
    response.json(toFileObject(file));
  };
}
