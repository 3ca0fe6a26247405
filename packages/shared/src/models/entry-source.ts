import { z } from "zod";
import { type ModelSource, parseModelSource, SOURCE_FORMS } from "./model-source.ts";

/** A source as people write it. Relative paths are taken from `baseDir`. */
export function modelSourceSchema(baseDir: string) {
  return z.string().transform((text, context): ModelSource => {
    const source = parseModelSource(text, baseDir);
    if (source !== null) return source;
    context.addIssue({ code: "custom", message: `"${text}" is not a model source: give ${SOURCE_FORMS}` });
    return z.NEVER;
  });
}
