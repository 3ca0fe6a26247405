import { QuernError } from "@quern/shared/contract/errors";

/** From this many slots on, one is kept free of batch jobs: an interactive job then need not wait for one to leave. */
const SLOTS_WORTH_A_RESERVE = 4;

/** How many slots batch jobs leave free; `configured` null: nobody said. @throws QuernError `config_invalid` */
export function reservedSlotsOf(configured: number | null, slots: number): number {
  if (configured === null) return slots >= SLOTS_WORTH_A_RESERVE ? 1 : 0;
  if (configured < slots) return configured;
  throw new QuernError(
    "config_invalid",
    `QUERN_RESERVED_SLOTS=${configured} leaves batch jobs none of ${slots} slots: reserve at most ${slots - 1}, or raise QUERN_SLOTS`,
  );
}
