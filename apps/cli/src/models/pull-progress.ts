import type { WriteStream } from "node:tty";
import type { DownloadProgress } from "@quern/shared/models/download";
import { Presets, SingleBar } from "cli-progress";

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
  let fileName: string | null = null;
  let startedAtMs = 0;
  let startedAtBytes = 0;
  const stop = () => bar.stop();
  return {
    stop,
    report({ phase, fileName: file, receivedBytes, totalBytes }) {
      const elapsedSeconds = (Date.now() - startedAtMs) / 1_000;
      const bytesPerSecond =
        elapsedSeconds > 0 ? Math.max(receivedBytes - startedAtBytes, 0) / elapsedSeconds : 0;
      const shown = {
        file: phase === "waiting" ? `${file} (another process downloads it)` : file,
        received: formatBytes(receivedBytes),
        size: totalBytes === null ? "?" : formatBytes(totalBytes),
        speed: formatBytes(file === fileName ? bytesPerSecond : 0),
      };
      if (file !== fileName) {
        bar.stop();
        [fileName, startedAtMs, startedAtBytes] = [file, Date.now(), receivedBytes];
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
    report({ phase, fileName, receivedBytes, totalBytes }) {
      const tenths = totalBytes === null ? 0 : Math.floor((receivedBytes / Math.max(totalBytes, 1)) * 10);
      const step = `${fileName} ${phase} ${tenths}`;
      if (step === last) return;
      last = step;
      const size = totalBytes === null ? "" : ` of ${formatBytes(totalBytes)}`;
      output.write(
        phase === "waiting"
          ? `${alias}: waiting: another process downloads ${fileName}\n`
          : `${alias}: ${fileName} ${tenths * 10}%${size}\n`,
      );
    },
    [Symbol.dispose]() {},
  };
}

/** Decimal units, as model pages give sizes. */
export function formatBytes(bytes: number): string {
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
