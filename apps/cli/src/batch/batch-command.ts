import { Command } from "commander";
import { integerFrom } from "../engine-flags.ts";
import { callForJson, PATIENCE_MS, type Server } from "../server/call.ts";
import type { ClusterSettings } from "../up/cluster.ts";
import { type Batch, batchListSchema, batchSchema } from "./batch-object.ts";
import { batchTable, batchText } from "./batch-text.ts";
import { EXIT, type ExitCode, exitOnUsage, withExitCode } from "./exit-codes.ts";
import { followCommand } from "./follow-command.ts";
import { runCommand } from "./run-command.ts";
import { serverAt } from "./server-flag.ts";

/** `quern batch …`. */
export function batchCommand(server: Server, settings: ClusterSettings): Command {
  const batch = exitOnUsage(
    new Command("batch")
      .description("many requests at once: submitted together, answered in a file")
      .showHelpAfterError("(--help shows what there is)"),
  );
  const add = (command: Command) => batch.addCommand(command.copyInheritedSettings(batch));
  add(runCommand(server, settings));
  add(listCommand(server));
  add(
    oneBatch(server, "status", "tell how far a batch is", async (id, at, signal) =>
      callForJson(at, path(id), batchSchema, { signal }),
    ),
  );
  add(followCommand(server));
  for (const [verb, description] of [
    ["cancel", "end a batch: what is answered stays, the rest is left"],
    ["pause", "begin no more of its requests until it is resumed"],
    ["resume", "go on with a paused batch"],
    ["retry-failed", "make a new batch of the requests of an old one that failed"],
  ] as const) {
    add(oneBatch(server, verb, description, (id, at, signal) => post(at, `${path(id)}/${verb}`, signal)));
  }
  return batch;
}

interface OneBatchFlags {
  url?: string;
  json?: true;
}

function oneBatch(
  server: Server,
  name: string,
  description: string,
  ask: (id: string, at: Server, signal: AbortSignal) => Promise<Batch>,
): Command {
  return new Command(name)
    .description(description)
    .argument("<batch>", "its id, batch_…")
    .option("--url <url>", `the gateway (default: QUERN_URL, or ${server.url})`)
    .option("--json", "for machines")
    .action(async (id: string, flags: OneBatchFlags) => {
      await withExitCode(async () => {
        const batch = await ask(id, serverAt(server, flags.url), neverAborted());
        process.stdout.write(
          flags.json === true ? `${JSON.stringify(batch, null, 2)}\n` : batchText(batch, Date.now()),
        );
        return EXIT.allAnswered;
      });
    });
}

interface ListFlags {
  url?: string;
  limit: number;
  after?: string;
}

function listCommand(server: Server): Command {
  return new Command("list")
    .description("list batches, the newest first")
    .option("--url <url>", `the gateway (default: QUERN_URL, or ${server.url})`)
    .option("--limit <count>", "how many", integerFrom(1, 100), 20)
    .option("--after <batch>", "those that are older than this one")
    .action(async (flags: ListFlags) => {
      await withExitCode(() => list(serverAt(server, flags.url), flags));
    });
}

async function list(server: Server, { limit, after }: ListFlags): Promise<ExitCode> {
  const query = new URLSearchParams({ limit: String(limit), ...(after === undefined ? {} : { after }) });
  const call = { signal: neverAborted() };
  const { data, has_more } = await callForJson(server, `/v1/batches?${query}`, batchListSchema, call);
  process.stdout.write(data.length === 0 ? "There are no batches.\n" : batchTable(data));
  const last = data.at(-1);
  if (has_more && last !== undefined) console.log(`There are more: --after ${last.id}`);
  return EXIT.allAnswered;
}

/** The same call twice does no more than once, but for a retry: its key sees to that. */
function post(server: Server, route: string, signal: AbortSignal): Promise<Batch> {
  const headers = { "idempotency-key": crypto.randomUUID() };
  const call = { json: {}, headers, signal, patienceMs: PATIENCE_MS };
  return callForJson(server, route, batchSchema, call);
}

function path(id: string): string {
  return `/v1/batches/${encodeURIComponent(id)}`;
}

/** Ctrl-C ends what only asks. */
function neverAborted(): AbortSignal {
  return new AbortController().signal;
}
