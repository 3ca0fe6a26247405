/** Binary units, as GPUs and memory are sold: `4.7 GiB`, and below a tenth of one `87.5 MiB`. */
export function formatGib(bytes: number): string {
  const gib = bytes / 2 ** 30;
  return Math.abs(gib) < 0.1 ? `${(gib * 1024).toFixed(1)} MiB` : `${gib.toFixed(1)} GiB`;
}
