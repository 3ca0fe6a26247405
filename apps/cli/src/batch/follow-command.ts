import { rename, rm } from "node:fs/promises";
import { Command } from "commander";
import type { Server } from "../server/call.ts";
import { downloadFile } from "../server/download-file.ts";
import { stopSignals } from "../up/stop-signals.ts";
import type { Batch } from "./batch-object.ts";
import { batchText } from "./batch-text.ts";
import { EXIT, type ExitCode, withExitCode } from "./exit-codes.ts";
import { followShown } from "./follow-shown.ts";
import { serverAt } from "./server-flag.ts";

interface FollowFlags {
  url?: string;
  output?: string;
}

/** `quern batch follow`: watches any batch to its end, whoever submitted it. */
export function followCommand(server: Server): Command {
  return new Command("follow")
    .description("watch a batch to its end; Ctrl-C leaves it running")
    .argument("<batch>", "its id, batch_…")
    .option("--url <url>", `the gateway (default: QUERN_URL, or ${server.url})`)
    .option("-o, --output <file>", "where its output file goes; its errors go to <file>.errors.jsonl")
    .action(async (id: string, flags: FollowFlags) => {
      const { stop } = stopSignals();
      await withExitCode(() => follow(serverAt(server, flags.url), id, flags, stop));
    });
}

async function follow(
  server: Server,
  id: string,
  { output }: FollowFlags,
  stop: AbortSignal,
): Promise<ExitCode> {
  try {
    const batch = await followShown(server, id, stop);
    if (output !== undefined) await downloadResults(server, batch, output, stop);
    process.stdout.write(batchText(batch, Date.now()));
    return batch.status === "completed" && batch.request_counts.failed === 0 ? EXIT.allAnswered : EXIT.failed;
  } catch (error) {
    if (!stop.aborted) throw error;
    console.error(`\nDetached: batch ${id} is as it was. To end it: quern batch cancel ${id}`);
    return EXIT.interrupted;
  }
}

async function downloadResults(
  server: Server,
  { output_file_id, error_file_id }: Batch,
  output: string,
  signal: AbortSignal,
): Promise<void> {
  const files = [
    { id: output_file_id ?? null, path: output },
    { id: error_file_id ?? null, path: `${output}.errors.jsonl` },
  ];
  for (const { id, path } of files) {
    if (id === null) continue;
    const part = `${path}.part`;
    try {
      await downloadFile(server, id, part, signal);
      await rename(part, path);
      console.log(`Written: ${path}`);
    } finally {
      await rm(part, { force: true });
    }
  }
}
