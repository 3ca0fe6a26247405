import { fork } from "node:child_process";
import { join } from "node:path";
import { QuernError } from "@quern/shared/contract/errors";
import type { AttentionOptions } from "../command/options.ts";
import type { ScenarioContext, ScenarioOutcome } from "../command/scenario.ts";
import { ownChild } from "../engine/child-lifetime.ts";
import { figure, textTable } from "../figures/text-table.ts";
import type { AttentionCommand, AttentionFigures } from "./attention-child.ts";

type Row = AttentionFigures & { flashAttention: "on" | "off" };

/** What the length of a cache costs a decode, and parts of a prompt of several sizes. */
export async function runAttentionScenario(
  options: AttentionOptions,
  context: ScenarioContext,
): Promise<ScenarioOutcome> {
  const figures: Row[] = [];
  for (const flashAttention of ["on", "off"] as const) {
    context.tell(`flash attention ${flashAttention}`);
    const measured = await measureInChild(
      { modelPath: context.modelPath, flashAttention, options },
      context.stop,
    );
    figures.push(...measured.map((one) => ({ ...one, flashAttention })));
  }
  const columns = [
    { title: "flash attention", cell: (row: Row) => row.flashAttention },
    { title: "tokens cached", cell: ({ depth }: Row) => String(depth) },
    { title: `decode of ${options.slots} slots, ms`, cell: ({ decodeMs }: Row) => figure(decodeMs) },
    ...options.parts.map((tokens, at) => ({
      title: `part of ${tokens}, ms/tok`,
      cell: ({ partMs }: Row) => figure((partMs[at] ?? Number.NaN) / tokens, 2),
    })),
  ];
  return { figures, tables: textTable(columns, figures) };
}

async function measureInChild(command: AttentionCommand, stop: AbortSignal): Promise<AttentionFigures[]> {
  stop.throwIfAborted();
  const child = fork(join(import.meta.dirname, "attention-child.ts"), {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const lifetime = ownChild(child, stop);
  const figures: AttentionFigures[] = [];
  child.on("message", (measured: AttentionFigures) => figures.push(measured));
  child.send(command);
  await lifetime.exited;
  stop.throwIfAborted();
  if (figures.length === command.options.depths.length) return figures;
  throw new QuernError(
    "engine_failed",
    `the measuring process ended with ${child.signalCode ?? child.exitCode}`,
  );
}
