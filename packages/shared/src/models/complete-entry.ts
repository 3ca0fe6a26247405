import type { Sampling } from "../contract/generation.ts";
import { type CatalogueEntry, ENTRY_DEFAULTS, type GivenEntry } from "./catalogue-schema.ts";
import { servedQuantization } from "./model-size.ts";
import { familyFacts } from "./qwen-families.ts";

/** What the entry says, else what its family says, else the default. */
export function completeEntry(alias: string, given: GivenEntry): CatalogueEntry {
  const family = given.family === undefined ? undefined : familyFacts(given.family);
  const otherwise = family ?? ENTRY_DEFAULTS;
  const fileBytes = given.fileBytes ?? ENTRY_DEFAULTS.fileBytes;
  const served = servedQuantization(given);
  return {
    alias,
    ...given,
    family: given.family ?? ENTRY_DEFAULTS.family,
    kind: given.kind ?? otherwise.kind,
    thinking: given.thinking ?? otherwise.thinking,
    sampling: {
      thinking: withoutUndefined(given.sampling?.thinking ?? otherwise.sampling.thinking),
      plain: withoutUndefined(given.sampling?.plain ?? otherwise.sampling.plain),
    },
    toolCalls: given.toolCalls ?? otherwise.toolCalls,
    fillInTheMiddle: given.fillInTheMiddle ?? otherwise.fillInTheMiddle,
    // null is an answer here: it says that the family's number does not hold for this size.
    nativeContextTokens: orElse(given.nativeContextTokens, otherwise.nativeContextTokens),
    yarnContextTokens: orElse(given.yarnContextTokens, otherwise.yarnContextTokens),
    parameters: withActive(given.parameters),
    attention: given.attention ?? ENTRY_DEFAULTS.attention,
    quantizations: [
      ...new Set([
        ...(served === null ? [] : [served]),
        ...(given.quantizations ?? otherwise.quantizations),
        ...Object.keys(fileBytes),
      ]),
    ],
    fileBytes,
    goodFor: given.goodFor ?? otherwise.goodFor,
  };
}

function orElse<T>(given: T | undefined, otherwise: T): T {
  return given === undefined ? otherwise : given;
}

function withActive(parameters: GivenEntry["parameters"]): CatalogueEntry["parameters"] {
  return parameters === undefined
    ? ENTRY_DEFAULTS.parameters
    : { total: parameters.total, active: parameters.active ?? parameters.total };
}

function withoutUndefined(sampling: { [Key in keyof Sampling]: Sampling[Key] | undefined }): Sampling {
  return Object.fromEntries(Object.entries(sampling).filter(([, value]) => value !== undefined));
}
