import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** What the process of the readers is told and tells, over IPC. */
export type ReadersCommand =
  | { type: "open"; url: string; readers: number }
  | { type: "count" }
  | { type: "close" };

export type ReadersReport =
  | { type: "opened" }
  /** Events that all of them have received together. */
  | { type: "counted"; events: number }
  | { type: "failed"; message: string };

// Reads one event stream over many connections, and does nothing but count: in a process of its own, so that it disturbs
// neither the publisher nor the clock of the chats.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});
process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));

const EVENT = Buffer.from("\ndata: ");
/** Connections that are opened at a time. */
const OPENED_AT_ONCE = 50;

const sockets: Socket[] = [];
let events = 0;

process.on("message", async (command: ReadersCommand) => {
  try {
    await obey(command);
  } catch (error) {
    tell({ type: "failed", message: error instanceof Error ? error.message : String(error) });
  }
});

async function obey(command: ReadersCommand): Promise<void> {
  switch (command.type) {
    case "open": {
      events = 0;
      const url = new URL(command.url);
      while (sockets.length < command.readers) {
        const left = Math.min(OPENED_AT_ONCE, command.readers - sockets.length);
        await Promise.all(Array.from({ length: left }, () => openReader(url)));
      }
      return tell({ type: "opened" });
    }
    case "count":
      return tell({ type: "counted", events });
    case "close":
      for (const socket of sockets) socket.destroy();
      process.removeAllListeners("disconnect");
      return process.disconnect();
  }
}

/** Resolves when the reply begins. */
async function openReader({ hostname, port, pathname }: URL): Promise<void> {
  const socket = connect(Number(port), hostname);
  sockets.push(socket);
  socket.write(`GET ${pathname} HTTP/1.1\r\nhost: ${hostname}:${port}\r\n\r\n`);
  // An event's mark may be cut in two.
  let tail = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    const seen = tail.length === 0 ? chunk : Buffer.concat([tail, chunk]);
    let from = 0;
    for (let at = seen.indexOf(EVENT); at !== -1; at = seen.indexOf(EVENT, from)) {
      events += 1;
      from = at + EVENT.length;
    }
    tail = Buffer.from(seen.subarray(Math.max(from, seen.length - EVENT.length + 1)));
  });
  socket.on("error", () => {});
  await once(socket, "data");
}

function tell(report: ReadersReport): void {
  process.send?.(report);
}
