/**
 * Loaded before a process's own code (`--import`), it moves the wall clock of that process: every `Date` is off by the
 * `offsetMs` in its own address. Timers and `performance.now()` run on, as they do when an administrator sets the time.
 */
const offsetMs = Number(new URL(import.meta.url).searchParams.get("offsetMs"));
const RealDate = Date;

class SkewedDate extends RealDate {
  constructor(...args: [] | [value: number | string | Date]) {
    if (args.length === 0) super(RealDate.now() + offsetMs);
    else super(...(args as [number]));
  }

  static override now(): number {
    return RealDate.now() + offsetMs;
  }
}

globalThis.Date = SkewedDate as DateConstructor;
