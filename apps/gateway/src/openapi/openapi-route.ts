import type { RequestHandler } from "express";
import { openApiDocument } from "./document.ts";

/** `GET /openapi.json` */
export const openApiRoute: RequestHandler = (_request, response) => {
  response.json(openApiDocument());
};
