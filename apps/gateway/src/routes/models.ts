import { QuernError } from "@quern/shared/contract/errors";
import type { CatalogueEntry } from "@quern/shared/models/catalogue-schema";
import type { RequestHandler } from "express";
import { isServed, type KnownModel } from "../admission/known-models.ts";
import { authenticate } from "../auth/authenticate.ts";
import { poolRates } from "../estimate/pooled-rates.ts";
import { type CoverageObject, coverageObject, type SpeedObject, speedObject } from "./measured.ts";
import type { RouteContext } from "./route.ts";

/** Models have no age that anybody knows; OpenAI's clients want a number. */
const CREATED = 0;

interface ModelObject {
  id: string;
  object: "model";
  created: number;
  owned_by: string;
  /** `embedding`: it gives vectors and no text. */
  kind: "chat" | "embedding";
  /** Whether a worker serves it now. */
  ready: boolean;
  workers: number;
  aliases: string[];
  context_tokens: number;
  /** null until a worker has loaded it once. */
  architecture: string | null;
  parameters: number | null;
  experts: { total: number; used: number } | null;
  /** Over its workers; null: none of them has completed a job. */
  speed: SpeedObject | null;
  /** null: nothing was estimated yet. */
  estimates: CoverageObject | null;
}

/** `GET /v1/models`: what is served, then what else the catalogue has. */
export function listModelsRoute(context: RouteContext): RequestHandler {
  return async (request, response) => {
    authenticate(request);
    response.json({ object: "list", data: await allModels(context) });
  };
}

/** `GET /v1/models/{id}` */
export function getModelRoute(context: RouteContext): RequestHandler<{ id: string }> {
  return async (request, response) => {
    authenticate(request);
    const { id } = request.params;
    const models = await allModels(context);
    const found = models.find((model) => model.id === id || model.aliases.includes(id));
    if (found === undefined) {
      throw new QuernError("model_not_found", `there is no model '${id}'; GET /v1/models lists them`, {
        param: "model",
      });
    }
    response.json(found);
  };
}

async function allModels({ knownModels }: RouteContext): Promise<ModelObject[]> {
  const known = await knownModels.list();
  const served = known.map(servedModel);
  const others = knownModels.catalogue.entries.filter(({ alias }) => served.every(({ id }) => id !== alias));
  return [...served, ...others.map(catalogueModel)].sort((a, b) => Number(b.ready) - Number(a.ready));
}

function servedModel(known: KnownModel): ModelObject {
  const { model, aliases, kind, architecture, parameters, experts, contextTokens } = known.description;
  return {
    id: model,
    object: "model",
    created: CREATED,
    owned_by: "quern",
    kind,
    ready: isServed(known),
    workers: known.workers.length,
    aliases,
    context_tokens: contextTokens,
    architecture,
    parameters,
    experts,
    speed: speedObject(poolRates(known.workers.map(({ rates }) => rates))),
    estimates: coverageObject(known.workers.map(({ calibration }) => calibration)),
  };
}

function catalogueModel({ alias, aliases, kind, contextTokens }: CatalogueEntry): ModelObject {
  return {
    id: alias,
    object: "model",
    created: CREATED,
    owned_by: "quern",
    kind,
    ready: false,
    workers: 0,
    aliases,
    context_tokens: contextTokens,
    architecture: null,
    parameters: null,
    experts: null,
    speed: null,
    estimates: null,
  };
}
