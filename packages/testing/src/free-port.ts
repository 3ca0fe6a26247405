import { createServer } from "node:net";

/**
 * A loopback port that nobody listens on at this moment. Another process may take it before the caller does:
 * whoever starts a server on it must be ready to ask for another one.
 */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address === null || typeof address === "string") {
        reject(new Error("a TCP server has an address"));
        return;
      }
      server.close(() => resolve(address.port));
    });
  });
}
