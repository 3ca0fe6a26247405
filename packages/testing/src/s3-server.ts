import { startFauxqs } from "fauxqs";

export const S3_BUCKET = "quern-test";
/** Any will do: the server does not look at them. */
export const S3_CREDENTIALS = { AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test" };

export interface S3Server extends AsyncDisposable {
  readonly endpoint: string;
  /** Stops to answer, as a server does that is gone. */
  stop(): Promise<void>;
}

/** A server of S3's protocol on a free port, in memory, with the bucket `S3_BUCKET`; wants path-style addresses. */
export async function startS3Server(): Promise<S3Server> {
  const server = await startFauxqs({ port: 0, host: "127.0.0.1", logger: false });
  server.createBucket(S3_BUCKET);
  let stopped: Promise<void> | null = null;
  const stop = () => {
    stopped ??= server.stop();
    return stopped;
  };
  return { endpoint: `http://127.0.0.1:${server.port}`, stop, [Symbol.asyncDispose]: stop };
}
