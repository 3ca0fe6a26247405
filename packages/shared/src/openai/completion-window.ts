import { z } from "zod";

const SECONDS = { m: 60, h: 3_600, d: 86_400 };
type Unit = keyof typeof SECONDS;
const MAX_DAYS = 30;

/**
 * How long a batch may take: OpenAI's `24h`, or any other number of minutes, hours or days up to 30 days, such as `90m` or `7d`.
 * In seconds once it is parsed.
 */
export const completionWindowSchema = z
  .string()
  .regex(/^[1-9]\d{0,4}[mhd]$/, "must be a time such as 24h: a number and m, h or d")
  .transform((window) => Number(window.slice(0, -1)) * SECONDS[window.slice(-1) as Unit])
  .refine((seconds) => seconds <= MAX_DAYS * SECONDS.d, `must be ${MAX_DAYS} days at most`);

/** In hours where it is whole hours, as OpenAI writes it. */
export function completionWindowText(seconds: number): string {
  const unit: Unit = seconds % SECONDS.h === 0 ? "h" : "m";
  return `${Math.round(seconds / SECONDS[unit])}${unit}`;
}
