import { QuernError } from "@quern/shared/contract/errors";
import type { Server } from "../server/call.ts";

/** The server that `--url` names instead of the configured one. @throws QuernError `config_invalid`. */
export function serverAt(configured: Server, url: string | undefined): Server {
  if (url === undefined) return configured;
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new QuernError("config_invalid", `--url ${url} is no address such as http://127.0.0.1:8080`);
  }
  return { ...configured, url: url.replace(/\/+$/, "") };
}
