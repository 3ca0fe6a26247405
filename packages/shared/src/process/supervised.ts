// What a process under `quern up` (gateway, worker, scheduler) tells its supervisor, over the IPC channel
// that `child_process.fork` opens. Started any other way (a container, a unit file) there is no channel:
// then every function here does nothing, and the process lives by its signals alone.

/** `fatal`: start can't succeed (bad model file, port taken). The supervisor ends the whole start-up with this line. */
export type SupervisedMessage = { type: "ready" } | { type: "fatal"; message: string };

/** Say once that this process can do its work. */
export function tellReady(): void {
  void send({ type: "ready" });
}

/** Say why start can't succeed, in one line that names the cure; then exit non-zero. Resolves when the line is on its way. */
export function tellFatal(message: string): Promise<void> {
  return send({ type: "fatal", message });
}

/**
 * Calls back once when the supervisor is gone, however it died (kill -9 too); at once if it already is.
 * Watching does not keep the process alive.
 */
export function onSupervisorGone(callback: () => void): void {
  if (process.send === undefined) return;
  if (!process.connected) {
    queueMicrotask(callback);
    return;
  }
  process.once("disconnect", callback);
  // A listener for `disconnect` holds the event loop open, which would keep a drained process from ending.
  process.channel?.unref();
}

export function isSupervised(): boolean {
  return process.send !== undefined && process.connected;
}

function send(message: SupervisedMessage): Promise<void> {
  return new Promise((resolve) => {
    if (!isSupervised()) return resolve();
    // Errors are dropped: they mean that nobody listens any more, which `disconnect` reports.
    process.send?.(message, undefined, undefined, () => resolve());
  });
}

export function isSupervisedMessage(value: unknown): value is SupervisedMessage {
  if (typeof value !== "object" || value === null) return false;
  const { type, message } = value as { type?: unknown; message?: unknown };
  return type === "ready" || (type === "fatal" && typeof message === "string");
}
