import type { WriteStream } from "node:tty";
import type { DownloadProgress } from "@quern/shared/models/download";
import { withoutSplitNumber } from "@quern/shared/models/gguf-split";
import { Presets, SingleBar } from "cli-progress";
import { formatBytes } from "./format-size.ts";

interface PullProgress extends Disposable {
  report: (progress: DownloadProgress) => void;
  stop: () => void;
}

/** A bar on a terminal; elsewhere a line for every tenth, so that a log stays readable. */
export function showProgress(alias: string, output: NodeJS.WriteStream | WriteStream): PullProgress {
  return output.isTTY ? showBar(alias, output) : showLines(alias, output);
}

function showBar(alias: string, stream: NodeJS.WriteStream): PullProgress {
  const bar = new SingleBar(
    {
      stream,
      format: `${alias} {file} [{bar}] {percentage}% | {received} of {size} | {speed}/s | {eta_formatted} left`,
      hideCursor: true,
      etaBuffer: 100,
    },
    Presets.shades_classic,
  );
  let shownName: string | null = null;
  let startedAtMs = 0;
  let startedAtBytes = 0;
  const stop = () => bar.stop();
  return {
    stop,
    report(progress) {
      const { phase, receivedBytes, totalBytes } = progress;
      const name = modelFileName(progress);
      const elapsedSeconds = (Date.now() - startedAtMs) / 1_000;
      const bytesPerSecond =
        elapsedSeconds > 0 ? Math.max(receivedBytes - startedAtBytes, 0) / elapsedSeconds : 0;
      const shown = {
        file: `${name}${partText(progress)}${phase === "waiting" ? " (another process downloads it)" : ""}`,
        received: formatBytes(receivedBytes),
        size: totalBytes === null ? "?" : formatBytes(totalBytes),
        speed: formatBytes(name === shownName ? bytesPerSecond : 0),
      };
      if (name !== shownName) {
        bar.stop();
        [shownName, startedAtMs, startedAtBytes] = [name, Date.now(), receivedBytes];
        bar.start(totalBytes ?? 0, receivedBytes, shown);
      }
      if (totalBytes !== null) bar.setTotal(totalBytes);
      bar.update(receivedBytes, shown);
    },
    [Symbol.dispose]: stop,
  };
}

function showLines(alias: string, output: NodeJS.WritableStream): PullProgress {
  let last = "";
  return {
    stop() {},
    report(progress) {
      const { phase, receivedBytes, totalBytes } = progress;
      const name = modelFileName(progress);
      const tenths = totalBytes === null ? 0 : Math.floor((receivedBytes / Math.max(totalBytes, 1)) * 10);
      const step = `${name} ${phase} ${tenths}`;
      if (step === last) return;
      last = step;
      const size = totalBytes === null ? "" : ` of ${formatBytes(totalBytes)}`;
      output.write(
        phase === "waiting"
          ? `${alias}: waiting: another process downloads ${progress.fileName}\n`
          : `${alias}: ${name}${partText(progress)} ${tenths * 10}%${size}\n`,
      );
    },
    [Symbol.dispose]() {},
  };
}

/** The parts of one model are one download. */
function modelFileName({ fileName }: DownloadProgress): string {
  return withoutSplitNumber(fileName);
}

function partText({ part, parts }: DownloadProgress): string {
  return parts === 1 ? "" : ` (part ${part} of ${parts})`;
}
