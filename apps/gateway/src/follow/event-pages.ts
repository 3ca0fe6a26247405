import type { NumberedTokenEvent } from "@quern/shared/contract/token-event";

type ReadPage = () => Promise<NumberedTokenEvent[]>;

/**
 * Lets followers who need the same page of a stream at the same moment, as after a reconnect, read and parse it once.
 * Only those of one turn of the event loop share: a later one may have heard of events that the earlier read misses.
 */
export class EventPages {
  readonly #reading = new Map<string, Promise<NumberedTokenEvent[]>>();

  /** The page is to be read only: others have it too. */
  read(jobId: string, afterId: string | null, readPage: ReadPage): Promise<NumberedTokenEvent[]> {
    const key = `${jobId} ${afterId}`;
    const reading = this.#reading.get(key);
    if (reading !== undefined) return reading;
    const page = readPage();
    this.#reading.set(key, page);
    process.nextTick(() => this.#reading.delete(key));
    return page;
  }
}
