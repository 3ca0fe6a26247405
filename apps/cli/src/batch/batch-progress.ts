import { Presets, SingleBar } from "cli-progress";
import type { BatchProgress } from "./batch-object.ts";
import { formatCount, paceText, statusText } from "./format-progress.ts";

export interface ShownProgress extends Disposable {
  report: (progress: BatchProgress) => void;
  /** Nothing is seen of it just now. */
  away: () => void;
}

/** A bar on a terminal; elsewhere a line for every tenth and every change of status, so that a log stays readable. */
export function showBatch(output: NodeJS.WriteStream): ShownProgress {
  return output.isTTY ? showBar(output) : showLines(output);
}

function showBar(stream: NodeJS.WriteStream): ShownProgress {
  const bar = new SingleBar(
    {
      stream,
      format: "{status} [{bar}] {done}/{all}{failed} | {pace}",
      hideCursor: true,
      // A line that wraps would be drawn again and again.
      barsize: 24,
      linewrap: false,
      // Until it is known how many there are.
      emptyOnZero: true,
    },
    Presets.shades_classic,
  );
  let isShown = false;
  return {
    report(progress) {
      const { total, completed, failed } = progress.request_counts;
      const shown = {
        status: statusText(progress),
        done: formatCount(completed + failed),
        all: formatCount(total),
        failed: failed === 0 ? "" : ` (${formatCount(failed)} failed)`,
        pace: paceText(progress, Date.now()),
      };
      if (!isShown) bar.start(total, completed + failed, shown);
      isShown = true;
      bar.setTotal(total);
      bar.update(completed + failed, shown);
    },
    away() {
      if (isShown) bar.update({ status: "reconnecting", pace: "the batch runs on" });
    },
    [Symbol.dispose]() {
      if (isShown) bar.stop();
    },
  };
}

function showLines(output: NodeJS.WritableStream): ShownProgress {
  let last = "";
  return {
    report(progress) {
      const { total, completed, failed } = progress.request_counts;
      const tenths = total === 0 ? 0 : Math.floor(((completed + failed) / total) * 10);
      const step = `${statusText(progress)} ${tenths * 10}%`;
      if (step === last) return;
      last = step;
      const counts = `${formatCount(completed + failed)} of ${formatCount(total)}`;
      const text = [
        `${step} (${counts}${failed === 0 ? "" : `, ${formatCount(failed)} failed`})`,
        paceText(progress, Date.now()),
      ];
      output.write(`${text.filter((part) => part !== "").join(", ")}\n`);
    },
    away() {
      if (last === "away") return;
      last = "away";
      output.write("The connection broke: reconnecting; the batch runs on.\n");
    },
    [Symbol.dispose]() {},
  };
}
