import { formatGib } from "@quern/shared/models/format-gib";
import { type MemoryPlan, type MemoryShare, neededBytes, spareBytes } from "./plan-memory.ts";

/**
 * One line for people: `weights 4.7 GiB, KV 2.3 GiB for 16 × 1,024 tokens, compute 0.3 GiB; 12.0 GiB free on cuda:0,
 * 1.0 GiB kept back: 3.7 GiB to spare`; one such part for each memory.
 */
export function describePlan(plan: MemoryPlan): string {
  return plan.shares.map((share) => describeShare(share, plan)).join("; and ");
}

/** The same as a table, a column for each memory. */
export function planTable(plan: MemoryPlan): string[] {
  const { shares, slots, contextTokens, kvType, gpuLayers } = plan;
  const layers = shares.length > 1 ? `, ${gpuLayers} layers on the GPU` : "";
  const rows: [string, (share: MemoryShare) => number][] = [
    ["weights", ({ weightsBytes }) => weightsBytes],
    ["KV", ({ kvBytes }) => kvBytes],
    ["compute", ({ computeBytes }) => computeBytes],
    ["needed", neededBytes],
    ["free", ({ freeBytes }) => freeBytes],
    ["kept back", ({ keptBackBytes }) => keptBackBytes],
    ["to spare", spareBytes],
  ];
  const cells = [
    ["", ...shares.map(({ name }) => name)],
    ...rows.map(([title, bytesOf]) => [title, ...shares.map((share) => formatGib(bytesOf(share)))]),
  ];
  const width = (column: number) => Math.max(...cells.map((row) => row[column]?.length ?? 0));
  return [
    `${slots} × ${count(contextTokens)} tokens, KV in ${kvType}${layers}`,
    ...cells.map(([title = "", ...values]) =>
      [title.padEnd(width(0)), ...values.map((value, at) => value.padStart(width(at + 1)))].join("  "),
    ),
  ];
}

/** What one would change to get from one plan to the other, with the flags of `npm start`. */
export function describeChange(from: MemoryPlan, to: MemoryPlan): string {
  const flags: string[] = [];
  if (to.slots !== from.slots) flags.push(`--slots ${to.slots}`);
  if (to.contextTokens !== from.contextTokens) flags.push(`--context-tokens ${to.contextTokens}`);
  if (to.kvType !== from.kvType) flags.push(`--kv-type ${to.kvType}`);
  if (to.gpuLayers !== from.gpuLayers) flags.push(`--gpu-layers ${to.gpuLayers}`);
  return flags.join(" ");
}

function describeShare(share: MemoryShare, { slots, contextTokens }: MemoryPlan): string {
  const { name, weightsBytes, kvBytes, computeBytes, freeBytes, keptBackBytes } = share;
  const kv = kvBytes === 0 ? [] : [`KV ${formatGib(kvBytes)} for ${slots} × ${count(contextTokens)} tokens`];
  const needs = [`weights ${formatGib(weightsBytes)}`, ...kv, `compute ${formatGib(computeBytes)}`];
  const spare = spareBytes(share);
  const verdict = spare >= 0 ? `${formatGib(spare)} to spare` : `${formatGib(-spare)} too little`;
  const free = `${formatGib(freeBytes)} free ${name === "RAM" ? "in" : "on"} ${name}`;
  return `${needs.join(", ")}; ${free}, ${formatGib(keptBackBytes)} kept back: ${verdict}`;
}

function count(number: number): string {
  return number.toLocaleString("en-US");
}
