import { onSupervisorGone } from "@quern/shared/process/supervised";

/** npm and a terminal may both deliver one Ctrl-C. */
const SAME_SIGNAL_MS = 1_000;

export interface StopSignals {
  /** Drain and stop: the first Ctrl-C, SIGTERM, a closed terminal, or a parent that is gone. */
  stop: AbortSignal;
  /** Stop now, whatever is lost of time: a second Ctrl-C. */
  force: AbortSignal;
}

export function stopSignals(): StopSignals {
  const stop = new AbortController();
  const force = new AbortController();
  let firstAtMs = 0;
  const heard = () => {
    if (!stop.signal.aborted) {
      firstAtMs = performance.now();
      stop.abort();
    } else if (performance.now() - firstAtMs > SAME_SIGNAL_MS) force.abort();
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, heard);
  onSupervisorGone(() => stop.abort());
  return { stop: stop.signal, force: force.signal };
}
