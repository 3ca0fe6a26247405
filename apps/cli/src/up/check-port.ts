import { once } from "node:events";
import { createServer } from "node:net";
import { QuernError } from "@quern/shared/contract/errors";

/**
 * Found out now, before a model is loaded, rather than by the gateway.
 * @returns the port; a free one for 0.
 * @throws QuernError `port_in_use`, or `config_invalid` for an address that is none of this machine's.
 */
export async function checkPort(host: string, port: number): Promise<number> {
  const server = createServer();
  try {
    server.listen(port, host);
    await once(server, "listening");
    const address = server.address();
    return typeof address === "object" && address !== null ? address.port : port;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "EADDRINUSE") {
      throw new QuernError("port_in_use", `port ${port} on ${host} is taken: choose another with --port`, {
        cause: error,
      });
    }
    throw new QuernError("config_invalid", `can't listen on ${host}:${port}: ${message}`, { cause: error });
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}
