import type { z } from "zod";
import { QuernError } from "../contract/errors.ts";

/**
 * Checks environment variables against a schema of their names. An empty one counts as unset, as shells and compose
 * files leave them.
 * @throws QuernError `config_invalid` naming every variable at fault.
 */
export function parseEnv<Env>(schema: z.ZodType<Env>, env: Record<string, string | undefined>): Env {
  const set = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ""),
  );
  const parsed = schema.safeParse(set);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new QuernError("config_invalid", `environment: ${faults.join("; ")}`);
}
