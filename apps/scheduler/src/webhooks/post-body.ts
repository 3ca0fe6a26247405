import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { LookupFunction } from "node:net";
import type { ReceiverAddress } from "./receiver-addresses.ts";

/** Of the answer only its status counts; some receivers hold the connection until it is read. */
const MAX_ANSWER_BYTES = 64 * 2 ** 10;

export interface ReceiverReply {
  statusCode: number;
  /** As the receiver wrote it. */
  retryAfter: string | null;
}

/**
 * Posts a body to one of the given addresses, whatever the URL's name resolves to by now; certificate and `Host` are
 * those of the name. Redirects are not followed, proxies of the environment not used.
 * @throws what the connection fails of, or the signal's reason.
 */
export function postBody(
  url: URL,
  addresses: ReceiverAddress[],
  { headers, body }: { headers: Record<string, string>; body: string },
  signal: AbortSignal,
): Promise<ReceiverReply> {
  const request = url.protocol === "https:" ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method: "POST",
      agent: false,
      lookup: lookupOf(addresses),
      headers: {
        ...headers,
        "content-type": "application/json",
        "content-length": String(Buffer.byteLength(body)),
        "user-agent": "Quern-Webhooks",
      },
      signal,
    });
    sent.once("error", (error) => reject(signal.aborted ? signal.reason : error));
    sent.once("response", (response) => {
      readBounded(response).then(
        () =>
          resolve({
            statusCode: response.statusCode ?? 0,
            retryAfter: response.headers["retry-after"] ?? null,
          }),
        (error: unknown) => reject(signal.aborted ? signal.reason : error),
      );
    });
    sent.end(body);
  });
}

async function readBounded(response: IncomingMessage): Promise<void> {
  let bytes = 0;
  for await (const chunk of response) {
    bytes += (chunk as Buffer).length;
    // Leaving the loop destroys the connection.
    if (bytes > MAX_ANSWER_BYTES) return;
  }
}

/** What `net.connect` calls instead of the resolver. */
function lookupOf(addresses: ReceiverAddress[]): LookupFunction {
  return (_name, options, callback) => {
    const [first] = addresses;
    if (options.all === true) callback(null, addresses);
    else callback(null, first?.address ?? "", first?.family);
  };
}
