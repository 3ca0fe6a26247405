import type { NumberedTokenEvent } from "@quern/shared/contract/token-event";
import { parseAnnouncement } from "@quern/shared/redis/event-stream";

/** One announced event, for all of its followers together. */
export class Announcement {
  readonly text: string;
  #numbered: NumberedTokenEvent | null = null;

  constructor(text: string) {
    this.text = text;
  }

  /** Parsed when it is first asked for, and not again. To be read only: others have it too. */
  get numbered(): NumberedTokenEvent {
    this.#numbered ??= parseAnnouncement(this.text);
    return this.#numbered;
  }
}
