import { QuernError } from "@quern/shared/contract/errors";
import type { Batch } from "./batch-object.ts";
import type { InputSource } from "./input/input-lines.ts";
import { placeOfRequest } from "./input/write-requests.ts";

const MAX_SHOWN = 5;

/** What the server found wrong with the requests that `isWanted`, in places of the input that they were made from. `isPart`: others of it may have been run. */
export async function faultsOf(
  { id, errors }: Pick<Batch, "id" | "errors">,
  source: InputSource,
  isWanted: (index: number) => boolean,
  isPart: boolean,
): Promise<QuernError> {
  const faults = errors?.data ?? [];
  const shown = await Promise.all(
    faults.slice(0, MAX_SHOWN).map(async ({ line, message, code }) => {
      const place = line == null ? "" : `${await placeOfRequest(source, isWanted, line)}: `;
      return `  ${place}${message ?? code ?? "?"}`;
    }),
  );
  const rest =
    faults.length > MAX_SHOWN ? [`  and ${faults.length - MAX_SHOWN} more: quern batch status ${id}`] : [];
  return new QuernError(
    "invalid_request",
    [
      `the server refused ${isPart ? "a part of " : ""}${source.path}; nothing of it was run:`,
      ...shown,
      ...rest,
    ].join("\n"),
  );
}
