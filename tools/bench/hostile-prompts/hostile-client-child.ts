import type { HostilePrompt } from "../command/options.ts";
import { HOSTILE_REQUESTS } from "./hostile-bodies.ts";
import { type HostileReply, keepSending } from "./hostile-sender.ts";

/** What the process of the hostile client is told, once each, in this order. */
export type HostileCommand =
  | { type: "send"; url: string; model: string; prompt: HostilePrompt }
  | { type: "stop" };

export type HostileReport =
  /** Its body is built, and the first request is on its way. */
  | { type: "sending" }
  /** The first request has ended. */
  | { type: "first ended" }
  | { type: "stopped"; bodyBytes: number; replies: HostileReply[] };

const stop = new AbortController();

// Signals of a terminal reach the whole group; it is the parent that ends this.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => {});
process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
process.on("message", async (command: HostileCommand) => {
  if (command.type === "stop") return stop.abort();
  const { atOnce, bodyOf } = HOSTILE_REQUESTS[command.prompt];
  const body = Buffer.from(bodyOf(command.model));
  const { firstEnded, replies } = keepSending(command.url, { body, atOnce }, stop.signal);
  tell({ type: "sending" });
  void firstEnded.then(() => tell({ type: "first ended" }));
  tell({ type: "stopped", bodyBytes: body.length, replies: await replies });
  process.removeAllListeners("disconnect");
  process.disconnect();
});

function tell(report: HostileReport): void {
  process.send?.(report);
}
