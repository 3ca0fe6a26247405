// @ts-check
// Whether node_modules holds what package-lock.json says, whoever installed it. npm writes node_modules/.package-lock.json
// as the last step of an install, with the entries of package-lock.json that it installed.
// bootstrap.mjs imports this file before anything is installed: no dependencies, no syntax younger than Node 18.

import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** The fields of a package.json that the lockfile repeats and an install depends on. */
const MANIFEST_FIELDS = [
  "dependencies",
  "devDependencies",
  "optionalDependencies",
  "peerDependencies",
  "workspaces",
];

/** @typedef {Record<string, any>} Entry What a lockfile says of a package; keyed by its folder, "" is the root. */

/**
 * About 50 ms for 550 packages.
 * @param {string} root The folder of package-lock.json.
 * @returns {boolean} false also when it can't be told.
 */
export function isInstalled(root) {
  const hiddenLock = join(root, "node_modules", ".package-lock.json");
  const [wanted, installed] = [join(root, "package-lock.json"), hiddenLock].map(
    (file) => readJson(file)?.packages,
  );
  if (!wanted || !installed) return false;
  const writtenMs = statSync(hiddenLock).mtimeMs;
  return (
    Object.keys(wanted).every((folder) => isExpected(root, folder, wanted[folder], installed[folder])) &&
    Object.keys(installed).every(
      (folder) => wanted[folder] !== undefined && isOnDisk(root, folder, installed[folder], writtenMs),
    )
  );
}

/**
 * @param {string} root
 * @param {string} folder
 * @param {Entry} wanted
 * @param {Entry | undefined} installed
 */
function isExpected(root, folder, wanted, installed) {
  // The root and the workspaces are not installed from anywhere. A manifest that the lockfile does not follow is for npm to refuse.
  const isOurs = !/(^|\/)node_modules\//.test(folder);
  if (isOurs && !hasManifest(join(root, folder), wanted)) return false;
  if (folder === "") return true;
  if (installed === undefined) return wanted.optional === true && !isForThisMachine(wanted);
  return isOurs || isSame(wanted, installed);
}

/**
 * @param {string} folder
 * @param {Entry} wanted
 */
function hasManifest(folder, wanted) {
  const manifest = readJson(join(folder, "package.json"));
  return manifest !== null && MANIFEST_FIELDS.every((field) => isSame(wanted[field], manifest[field]));
}

/**
 * npm skips an optional package of another system, and the dependencies of such a package, which name no system.
 * @param {Entry} entry
 */
function isForThisMachine({ os, cpu, libc }) {
  if (os === undefined && cpu === undefined) return false;
  return admits(os, process.platform) && admits(cpu, process.arch) && admits(libc, "glibc");
}

/**
 * https://docs.npmjs.com/cli/configuring-npm/package-json#os
 * @param {string | string[] | undefined} list
 * @param {string} value
 */
function admits(list, value) {
  if (list === undefined) return true;
  const values = [list].flat();
  if (values.includes(`!${value}`)) return false;
  return values.includes(value) || values.every((one) => one.startsWith("!"));
}

/**
 * An install that was interrupted leaves folders that are missing, that hold another version, or that are newer than npm's
 * list. npm itself mistrusts its list by the last of these.
 * @param {string} root
 * @param {string} folder
 * @param {Entry} installed
 * @param {number} writtenMs
 */
function isOnDisk(root, folder, installed, writtenMs) {
  const path = join(root, folder);
  const manifest = readJson(join(path, "package.json"));
  if (manifest === null) return false;
  if (installed.link === true || !/(^|\/)node_modules\//.test(folder)) return true;
  return manifest.version === installed.version && statSync(path).mtimeMs <= writtenMs;
}

/**
 * @param {unknown} one
 * @param {unknown} other
 * @returns {boolean}
 */
function isSame(one, other) {
  return JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
}

/**
 * @param {unknown} value
 * @returns {unknown}
 */
function sorted(value) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const fields = /** @type {Record<string, unknown>} */ (value);
  return Object.keys(fields)
    .sort()
    .map((key) => [key, sorted(fields[key])]);
}

/**
 * @param {string} file
 * @returns {Record<string, any> | null}
 */
function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return null;
  }
}
