import { textTable } from "../models/text-table.ts";
import { type Batch, secondsOf } from "./batch-object.ts";
import { formatCount, formatDuration, paceText, statusText } from "./format-progress.ts";
import { tokenLine } from "./run-summary.ts";

/** All that is worth knowing of one batch, a line each. */
export function batchText(batch: Batch, nowMs: number): string {
  const { id, endpoint, model, request_counts: counts, errors } = batch;
  const seconds = secondsOf(batch);
  const pace = seconds === null ? paceText(batch, nowMs) : "";
  const rows = [
    ["batch", id],
    ["status", statusText(batch)],
    ["model", `${model ?? "not read yet"} (${endpoint})`],
    [
      "requests",
      `${countText(counts)}${counts.failed === 0 ? "" : `, ${formatCount(counts.failed)} of them failed`}`,
    ],
    ["created", timeText(batch.created_at)],
    ...(pace === "" ? [] : [["pace", pace]]),
    ...(seconds === null ? [] : [["took", formatDuration(seconds)]]),
    ...(seconds === null && batch.expires_at != null ? [["expires", timeText(batch.expires_at)]] : []),
    ...tokenLine([batch]).map((line) => ["tokens", line.replace(/^Tokens: |\.$/g, "")]),
    ...(batch.output_file_id == null ? [] : [["output", batch.output_file_id]]),
    ...(batch.error_file_id == null ? [] : [["errors", batch.error_file_id]]),
  ];
  const faults = (errors?.data ?? []).map(
    ({ line, message, code }) => `  ${line == null ? "" : `line ${line}: `}${message ?? code ?? "?"}\n`,
  );
  const told = rows.map(([name = "", value = ""]) => `${name.padEnd(9)} ${value}\n`).join("");
  return faults.length === 0 ? told : `${told}wrong with its input:\n${faults.join("")}`;
}

export function batchTable(batches: readonly Batch[]): string {
  return textTable(
    ["BATCH", "STATUS", "DONE", "FAILED", "MODEL", "CREATED"],
    batches.map((batch) => [
      batch.id,
      statusText(batch),
      countText(batch.request_counts),
      formatCount(batch.request_counts.failed),
      batch.model ?? "",
      timeText(batch.created_at),
    ]),
    ["FAILED"],
  );
}

function countText({ total, completed, failed }: Batch["request_counts"]): string {
  return `${formatCount(completed + failed)} of ${formatCount(total)}`;
}

function timeText(unixSeconds: number): string {
  return new Date(unixSeconds * 1_000).toISOString().replace(/\.\d+/, "");
}
