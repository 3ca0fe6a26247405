import type { ModelSize } from "@quern/shared/models/model-size";

/** Decimal units, as model pages give the sizes of files. */
export function formatBytes(bytes: number): string {
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

/** `≈` where it is computed and nobody has weighed the file. */
export function formatModelSize({ bytes, basis }: ModelSize): string {
  return basis === "known" ? formatBytes(bytes) : `≈ ${formatBytes(bytes)}`;
}

/** Binary units, as GPUs and memory are sold. */
export function formatGib(bytes: number): string {
  const gib = bytes / 1024 ** 3;
  return gib < 0.1 ? `${Math.ceil(gib * 1024)} MiB` : `${gib.toFixed(1)} GiB`;
}

/** 7.62e9 → `7.6B`; a mixture of experts with its active ones, as Qwen names them: `30.5B A3.3B`. */
export function formatParameters({ total, active }: { total: number; active: number }): string {
  return active < total ? `${billions(total)} A${billions(active)}` : billions(total);
}

function billions(count: number): string {
  const inBillions = count / 1e9;
  return `${inBillions >= 100 ? inBillions.toFixed(0) : Number(inBillions.toFixed(inBillions < 1 ? 2 : 1))}B`;
}
