import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * - `pass`: as if it were not there, but for `latencyMs` each way.
 * - `blackhole`: connections stay open, or are taken, and nothing goes through: a network that drops packets. What was
 *   sent meanwhile is delivered when it passes again, as TCP would.
 * - `refuse`: what is open is cut, and what is new is cut at once.
 */
export type ProxyMode = { kind: "pass"; latencyMs: number } | { kind: "blackhole" } | { kind: "refuse" };

export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** For connections that are open too. */
  enter(mode: ProxyMode): void;
  /** Cuts what is open; new connections are as the mode says. */
  cut(): void;
  /** How many connections are open. */
  connections(): number;
}

/** A hop on loopback between a process and its server, which a test can spoil. It passes at first. */
export async function startTcpProxy(target: { port: number }): Promise<TcpProxy> {
  let mode: ProxyMode = { kind: "pass", latencyMs: 0 };
  let changed = new AbortController();
  const pairs = new Set<{ from: Socket; to: Socket }>();

  const server = createServer((from) => {
    if (mode.kind === "refuse") {
      from.destroy();
      return;
    }
    const to = connect(target.port, "127.0.0.1");
    const pair = { from, to };
    pairs.add(pair);
    const close = () => {
      pairs.delete(pair);
      from.destroy();
      to.destroy();
    };
    for (const socket of [from, to]) socket.setNoDelay(true).on("error", close).on("close", close);
    void pump(from, to);
    void pump(to, from);
  });

  /** One direction: each chunk waits its latency, and the next is read only when it is written. */
  async function pump(source: Socket, sink: Socket): Promise<void> {
    try {
      for await (const chunk of source) {
        if (mode.kind === "pass" && mode.latencyMs > 0) await sleep(mode.latencyMs);
        while (mode.kind === "blackhole") await once(changed.signal, "abort");
        if (!sink.write(chunk)) await once(sink, "drain");
      }
      sink.end();
    } catch {
      // One of the two was cut; `close` sees to both.
    }
  }

  function cut(): void {
    for (const { from, to } of pairs) {
      from.resetAndDestroy();
      to.destroy();
    }
  }

  function enter(next: ProxyMode): void {
    mode = next;
    if (next.kind === "refuse") cut();
    changed.abort();
    changed = new AbortController();
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    enter,
    cut,
    connections: () => pairs.size,
    [Symbol.asyncDispose]: async () => {
      enter({ kind: "refuse" });
      server.close();
      await once(server, "close");
    },
  };
}
