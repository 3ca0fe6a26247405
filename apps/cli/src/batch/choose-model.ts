import { QuernError } from "@quern/shared/contract/errors";
import { findModel, loadCatalogue } from "@quern/shared/models/catalogue";
import { z } from "zod";
import { callForJson, type Server } from "../server/call.ts";
import { DEFAULT_MODEL } from "../up/up-options.ts";
import { type InputSource, modelNamedIn } from "./input/input-lines.ts";

const modelsSchema = z.object({ data: z.array(z.object({ id: z.string() })) });

/**
 * Which model a server is asked for, where neither the person nor the file names one: its only one.
 * @throws QuernError `config_invalid` when there are none or several, `server_unavailable`.
 */
export async function modelOfServer(server: Server, signal: AbortSignal): Promise<string> {
  const { data } = await callForJson(server, "/v1/models", modelsSchema, { signal });
  const [first, ...others] = data.map(({ id }) => id);
  if (first !== undefined && others.length === 0) return first;
  throw new QuernError(
    "config_invalid",
    first === undefined
      ? `${server.url} serves no model yet: start a worker`
      : `say with --model which one is asked: ${[first, ...others].join(", ")}`,
  );
}

/** What a private cluster serves, and by which name requests ask for it. @throws QuernError `model_unknown`. */
export async function localModel(
  source: InputSource,
  modelsFile: string,
): Promise<{ spec: string; name: string }> {
  const spec = source.asking.model ?? (await modelNamedIn(source)) ?? DEFAULT_MODEL;
  return { spec, name: findModel(await loadCatalogue(modelsFile), spec).alias };
}
