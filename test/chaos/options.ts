import { parseArgs } from "node:util";

export interface ChaosOptions {
  seed: number;
  /** At least so many jobs are submitted, and more while faults are still to come. */
  jobs: number;
  /** Of batches that are handed in beside them; 0: there are none. */
  lines: number;
  /** Nothing new is submitted or broken after that; what runs may end. */
  minutes: number;
  workers: number;
  slotsPerWorker: number;
  /** Commands of the property test of the lifecycle, which runs first; 0: it does not. */
  propertyCommands: number;
  /** Only faults with one of these in their names; empty: all. */
  faults: string[];
  /** So many things are broken together. */
  atOnce: number;
  /** Where the ledger is kept; null: in a folder that goes when nothing was violated. */
  keepIn: string | null;
}

const SHORT = { jobs: 500, lines: 300, minutes: 2.5, workers: 3 };
const LONG = { jobs: 10_000, lines: 3_000, minutes: 40, workers: 4 };

/** `--long`, and each figure by itself. @throws Error with a line for people. */
export function readOptions(args: string[], nowMs: number): ChaosOptions {
  const { values } = parseArgs({
    args,
    options: {
      long: { type: "boolean", default: false },
      seed: { type: "string" },
      jobs: { type: "string" },
      lines: { type: "string" },
      minutes: { type: "string" },
      workers: { type: "string" },
      "property-commands": { type: "string", default: "10000" },
      "at-once": { type: "string", default: "1" },
      fault: { type: "string", multiple: true, default: [] },
      keep: { type: "string" },
    },
  });
  const form = values.long ? LONG : SHORT;
  return {
    seed: numberOf("seed", values.seed) ?? nowMs % 2 ** 31,
    jobs: numberOf("jobs", values.jobs) ?? form.jobs,
    lines: numberOf("lines", values.lines) ?? form.lines,
    minutes: numberOf("minutes", values.minutes) ?? form.minutes,
    workers: numberOf("workers", values.workers) ?? form.workers,
    slotsPerWorker: 6,
    propertyCommands: numberOf("property-commands", values["property-commands"]) ?? 0,
    faults: values.fault,
    atOnce: Math.max(1, numberOf("at-once", values["at-once"]) ?? 1),
    keepIn: values.keep ?? null,
  };
}

function numberOf(name: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0)) throw new Error(`--${name} wants a number, not "${text}"`);
  return value;
}
