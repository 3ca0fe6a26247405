import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTcpProxy } from "./tcp-proxy.ts";

let echo: Server;
let target: { port: number };
beforeAll(async () => {
  echo = createServer((socket) => socket.on("error", () => {}).pipe(socket)).listen(0, "127.0.0.1");
  await once(echo, "listening");
  target = { port: (echo.address() as AddressInfo).port };
});
afterAll(() => {
  echo.close();
});

async function open(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1").on("error", () => {});
  await once(socket, "connect");
  return socket.setEncoding("utf8");
}

async function heard(socket: Socket): Promise<string> {
  const [text] = await once(socket, "data");
  return text as string;
}

function closed(socket: Socket): Promise<unknown> {
  return new Promise((resolve) => socket.resume().once("close", resolve));
}

test("it passes bytes on, and closes with either side", async () => {
  await using proxy = await startTcpProxy(target);
  const socket = await open(proxy.port);
  socket.write("one");
  expect(await heard(socket)).toBe("one");
  expect(proxy.connections()).toBe(1);
  socket.end();
  await closed(socket);
  await expect.poll(() => proxy.connections()).toBe(0);
});

test("a blackhole keeps connections open and silent; what was sent arrives afterwards", async () => {
  await using proxy = await startTcpProxy(target);
  const socket = await open(proxy.port);
  let received = "";
  socket.on("data", (text: string) => {
    received += text;
  });
  proxy.enter({ kind: "blackhole" });
  socket.write("two");
  // Proof of silence: meanwhile another connection, past the proxy, has gone to the same server and back.
  const direct = await open(target.port);
  direct.write("direct");
  expect(await heard(direct)).toBe("direct");
  direct.destroy();
  expect(received).toBe("");
  expect(socket.destroyed).toBe(false);
  proxy.enter({ kind: "pass", latencyMs: 0 });
  await expect.poll(() => received).toBe("two");
  socket.destroy();
});

test("a cut ends what is open and lets new connections through; refusing ends those as well", async () => {
  await using proxy = await startTcpProxy(target);
  const first = await open(proxy.port);
  first.write("x");
  await heard(first);
  proxy.cut();
  await closed(first);
  const second = await open(proxy.port);
  second.write("three");
  expect(await heard(second)).toBe("three");
  proxy.enter({ kind: "refuse" });
  await closed(second);
  const third = await open(proxy.port);
  await closed(third);
});

test("latency is paid each way", async () => {
  await using proxy = await startTcpProxy(target);
  proxy.enter({ kind: "pass", latencyMs: 40 });
  const socket = await open(proxy.port);
  const sentAtMs = performance.now();
  socket.write("four");
  expect(await heard(socket)).toBe("four");
  // A lower bound: a busy machine only makes it later. Timers may fire a millisecond early.
  expect(performance.now() - sentAtMs).toBeGreaterThanOrEqual(78);
  socket.destroy();
});
