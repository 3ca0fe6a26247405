import fc from "fast-check";
import type { TerminalState } from "../contract/lifecycle.ts";
import type { TokenEvent } from "../contract/token-event.ts";
import type { HandBackReason, SequencedEvent } from "./job-store.ts";
import { type Deadline, PROMPT_TOKENS, type SentCommand } from "./lifecycle-model.fixture.ts";

/**
 * How a command fares on its way:
 * - `once`: it arrives and its reply does;
 * - `twice`: its reply is lost with the connection, so the client sends it again as it was;
 * - `never`: it does not arrive; what it carried is carried again by the writer's next command;
 * - `unheard`: it arrives, its reply never does; what it carried is carried again as well.
 */
export const DELIVERIES = ["once", "twice", "never", "unheard"] as const;
export type Delivery = (typeof DELIVERIES)[number];

/** `claimsAgo`: by the attempt that was begun so many claims ago; -1: by one that never was. */
export type PlannedCommand = { delivery: Delivery } & (
  | { kind: "confirm" | "cancel" | "expire" }
  | { kind: "forget"; events: number }
  | { kind: "create"; deadline: Deadline }
  | { kind: "claim"; company: "shared" | "alone"; workerId: string | null }
  | { kind: "append"; claimsAgo: number; deltas: number; restart: boolean }
  | { kind: "commit"; claimsAgo: number; deltas: number; state: TerminalState }
  | {
      kind: "hand_back";
      claimsAgo: number;
      deltas: number;
      because: HandBackReason;
      makesSuspect: boolean;
    }
);

const delivery = fc.oneof(
  { arbitrary: fc.constant<Delivery>("once"), weight: 6 },
  { arbitrary: fc.constantFrom<Delivery>(...DELIVERIES), weight: 3 },
);
/** Mostly the attempt that owns the job, or believes so. */
const claimsAgo = fc.oneof(
  { arbitrary: fc.constant(0), weight: 5 },
  { arbitrary: fc.integer({ min: -1, max: 3 }), weight: 2 },
);
/** A commit ends the life it is sent in, unless it is turned away: most of them are. */
const mostlyStale = fc.integer({ min: -1, max: 3 });
const deltas = fc.nat({ max: 3 });
const state = fc.constantFrom<TerminalState>("completed", "failed", "cancelled", "expired");
const because = fc.constantFrom<HandBackReason>(
  "given_back",
  "parked",
  "crashed",
  "killed",
  "killed_further",
);
const deadline = fc.oneof(
  { arbitrary: fc.constant<Deadline>("none"), weight: 4 },
  { arbitrary: fc.constantFrom<Deadline>("passed", "far off"), weight: 2 },
);

const plannedCommand: fc.Arbitrary<PlannedCommand> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("create" as const), delivery, deadline }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("confirm" as const), delivery }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("expire" as const), delivery }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("forget" as const),
      delivery: fc.constant<Delivery>("once"),
      events: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("claim" as const),
      delivery,
      company: fc.constantFrom("shared" as const, "alone" as const),
      workerId: fc.constantFrom("one", "other", null),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cancel" as const), delivery }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("append" as const),
      delivery,
      claimsAgo,
      deltas,
      restart: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("hand_back" as const),
      delivery,
      claimsAgo,
      deltas,
      because,
      makesSuspect: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("commit" as const),
      delivery,
      claimsAgo: mostlyStale,
      deltas,
      state,
    }),
  },
);

/** The life of one job, in any order, also before it was created. */
export const plannedLife: fc.Arbitrary<PlannedCommand[]> = fc
  .tuple(
    fc.oneof(
      { weight: 7, arbitrary: deadline.map((asked) => [createdOnce(asked)]) },
      { weight: 1, arbitrary: fc.constant<PlannedCommand[]>([]) },
    ),
    fc.array(plannedCommand, { maxLength: 60, size: "max" }),
  )
  .map(([first, rest]) => [...first, ...rest]);

function createdOnce(asked: Deadline): PlannedCommand {
  return { kind: "create", delivery: "once", deadline: asked };
}

/** What one attempt believes, as the worker's event publisher does: how far it has numbered, and what is not written. */
interface Writer {
  epoch: number;
  lastSeq: number;
  unwritten: SequencedEvent[];
}

/** The attempts of one job as their workers see them, stale ones too: turns plans into commands. */
export class Writers {
  readonly #writers: Writer[] = [];

  /** After a claim whose reply was heard. */
  claimed(epoch: number, lastSeq: number): void {
    this.#writers.unshift({ epoch, lastSeq, unwritten: [] });
  }

  /** null: there is no attempt that could send it. */
  commandOf(planned: PlannedCommand): SentCommand | null {
    if (!("claimsAgo" in planned)) {
      const { delivery: _, ...command } = planned;
      return command;
    }
    const writer = this.#writerOf(planned.claimsAgo);
    if (writer === null) return null;
    const said: TokenEvent[] = Array.from({ length: planned.deltas }, (_, at) => ({
      type: "delta",
      data: {
        text: `${writer.epoch}:${writer.lastSeq + 1 + at} `,
        progress: { tokens: [1], reasoningTokens: 0, promptTokens: PROMPT_TOKENS },
      },
    }));
    if (planned.kind === "append" && planned.restart) {
      said.unshift({ type: "restart", data: { attempt: writer.epoch } });
    }
    for (const event of said) writer.unwritten.push({ seq: ++writer.lastSeq, event });
    const carried = { epoch: writer.epoch, events: [...writer.unwritten] };
    if (planned.delivery === "once" || planned.delivery === "twice") writer.unwritten = [];
    // Any number does, so that each attempt says another.
    const completionTokens = writer.lastSeq;
    const usage =
      completionTokens % 3 === 0
        ? null
        : { promptTokens: writer.epoch, completionTokens, reasoningTokens: 0, cachedTokens: 0 };
    switch (planned.kind) {
      case "append":
        return { kind: "append", ...carried };
      case "commit":
        // A commit is the last word: an attempt whose commit failed never carries the end in another command.
        carried.events.push({ seq: writer.lastSeq + 1, event: endOf(planned.state) });
        return { kind: "commit", ...carried, usage, state: planned.state };
      case "hand_back":
        return {
          kind: "hand_back",
          ...carried,
          because: planned.because,
          makesSuspect: planned.makesSuspect,
        };
    }
  }

  #writerOf(claimsAgo: number): Writer | null {
    const [latest] = this.#writers;
    if (claimsAgo === -1 && latest !== undefined)
      return { epoch: latest.epoch + 7, lastSeq: latest.lastSeq, unwritten: [] };
    return this.#writers[claimsAgo] ?? null;
  }
}

function endOf(state: TerminalState): TokenEvent {
  return { type: "end", data: { status: state, usage: null, finish_reason: null } };
}
