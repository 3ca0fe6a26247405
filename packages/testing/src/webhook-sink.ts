import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A delivery as a receiver got it. */
export interface ReceivedDelivery {
  headers: IncomingHttpHeaders;
  path: string;
  body: string;
}

export interface WebhookSink extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** All that came in whole, in order. */
  readonly received: ReceivedDelivery[];
  /** Resolves when so many have come in. */
  count(wanted: number): Promise<ReceivedDelivery[]>;
}

/**
 * A receiver of webhooks on loopback. `answer` gets the number of the delivery, from 1, and ends the response, or leaves
 * it open for as long as it likes.
 */
export async function startWebhookSink(
  answer: (response: ServerResponse, number: number) => void,
): Promise<WebhookSink> {
  const received: ReceivedDelivery[] = [];
  let arrived = Promise.withResolvers<void>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.once("end", () => {
      received.push({
        headers: request.headers,
        path: request.url ?? "",
        body: Buffer.concat(chunks).toString("utf8"),
      });
      answer(response, received.length);
      arrived.resolve();
      arrived = Promise.withResolvers();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/hook`,
    port,
    received,
    count: async (wanted) => {
      while (received.length < wanted) await arrived.promise;
      return received;
    },
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

/** Ends every response with the status that `status` gives for its number. */
export function answering(status: (number: number) => number, headers: Record<string, string> = {}) {
  return (response: ServerResponse, number: number): void => {
    response.writeHead(status(number), headers).end();
  };
}
