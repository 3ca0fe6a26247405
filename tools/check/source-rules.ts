/** What types and linters can't see, read off the text of the files. */

export interface SourceFile {
  /** Relative to the top of the repository. */
  path: string;
  bytes: number;
  /** null: not text. */
  text: string | null;
}

const MAX_FILE_BYTES = 10 * 2 ** 20;

const ENVIRONMENT = /\bprocess\.env\b/;
/** Where the environment is read: each app's config.ts, what tests are configured by, and what runs outside the apps. */
const MAY_READ_ENVIRONMENT =
  /^apps\/[^/]+\/src\/config\.ts$|^packages\/testing\/src\/docker-config\.ts$|^(tools|deploy|test)\/|\.test\.ts$/;

const SKIPPED_TEST = /\b(?:test|describe|it)\.(only|skip|todo)\b/;

/** Each violation as a line for people. */
export function sourceViolations({ path, bytes, text }: SourceFile): string[] {
  const found: string[] = [];
  if (bytes > MAX_FILE_BYTES) found.push(`${path} has ${bytes} bytes: nothing above 10 MB belongs in git`);
  if (text === null || !/\.(ts|mjs)$/.test(path)) return found;
  if (ENVIRONMENT.test(text) && !MAY_READ_ENVIRONMENT.test(path)) {
    found.push(`${path} reads process.env: only config.ts does`);
  }
  if (path.endsWith(".test.ts") && !path.startsWith("tools/check/")) {
    const skipped = SKIPPED_TEST.exec(text);
    if (skipped !== null) found.push(`${path} has ${skipped[0]}: a test runs, or is not there`);
  }
  return found;
}

/** Lua files that no TypeScript file loads and no loaded one needs. */
export function unusedScripts(files: readonly SourceFile[]): string[] {
  const texts = (ending: string) =>
    files.filter(({ path }) => path.endsWith(ending)).map(({ text }) => text ?? "");
  const [loaders, scripts] = [texts(".ts"), texts(".lua")];
  return files
    .filter(({ path }) => path.endsWith(".lua"))
    .map(({ path }) => ({ path, name: path.split("/").at(-1) ?? "" }))
    .filter(({ name }) => !loaders.some((text) => text.includes(`"${name}"`)))
    .filter(({ name }) => !scripts.some((text) => text.includes(`-- Needs ${name}\n`)))
    .map(({ path }) => `${path} is loaded by nobody`);
}
