import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { Ajv, type ErrorObject } from "ajv";
import { parse } from "yaml";

/** Only what our checks look at; the whole shape is the compose specification's. */
export interface ComposeService {
  image?: string;
  user?: string;
  init?: boolean;
  read_only?: boolean;
  restart?: string;
  profiles?: string[];
  command?: string[];
  environment?: Record<string, string | null>;
  ports?: string[];
  volumes?: string[];
  tmpfs?: string[];
  cap_drop?: string[];
  healthcheck?: { test: string[] };
  stop_grace_period?: string;
  build?: { context: string; dockerfile: string; target: string; args?: Record<string, string> };
  depends_on?: Record<string, { condition: string }>;
  deploy?: { resources?: { reservations?: { devices?: Record<string, unknown>[] } } };
}

export interface ComposeFile {
  name?: string;
  services: Record<string, ComposeService>;
  volumes?: Record<string, unknown>;
}

/** Resolves YAML merges (`<<`); leaves `${NAME:-default}` as it stands. */
export async function readComposeFile(path: string): Promise<ComposeFile> {
  return parse(await readFile(path, "utf8"), { merge: true }) as ComposeFile;
}

/** What the compose specification's JSON schema (as the npm package `docker-compose` ships it) has against the file. */
export async function composeSchemaErrors(file: unknown): Promise<string[]> {
  const path = createRequire(import.meta.url).resolve("docker-compose/schema/compose-spec.json");
  const { $schema: _dialect, ...schema } = JSON.parse(await readFile(path, "utf8"));
  const ajv = new Ajv({ allErrors: true, strict: false, validateFormats: false });
  const validate = ajv.compile(schema);
  validate(file);
  return (validate.errors ?? []).map(describe);
}

function describe({ instancePath, message, params }: ErrorObject): string {
  return `${instancePath || "/"} ${message} ${JSON.stringify(params)}`;
}

/** `${NAME:-default}` → `default`, as compose reads it where nothing is set. */
export function withDefaults(value: string): string {
  return value.replaceAll(/\$\{\w+:-([^}]*)\}/g, "$1");
}
