import { setTimeout as delay } from "node:timers/promises";
import { QuernError } from "../contract/errors.ts";
import { withoutSecrets } from "./model-source.ts";

/** Whom to ask, and how long to keep asking. */
export interface Remote {
  /** Without a closing slash. */
  hfEndpoint: string;
  /** Sent to the Hugging Face endpoint alone, never to where it redirects, never logged. */
  hfToken: string | null;
  signal: AbortSignal;
  /** Tries in a row that bring no byte before it gives up. */
  maxTries: number;
  /** Before try number `tries + 1`. */
  retryDelayMs: (tries: number) => number;
  /** A connection that is silent for this long is given up. */
  idleTimeoutMs: number;
}

/** 0.5, 1, 2 … 15 s, each drawn from its upper half so that many pulls don't return in step. */
export function exponentialDelayMs(tries: number): number {
  return Math.min(500 * 2 ** (tries - 1), 15_000) * (0.5 + Math.random() / 2);
}

/** A try that may succeed when made again. */
export class TransientFailure extends Error {
  readonly retryAfterMs: number;
  /** The try brought something, so the count of fruitless tries starts over. */
  readonly progressed: boolean;

  constructor(
    message: string,
    options: { retryAfterMs?: number; progressed?: boolean; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.retryAfterMs = options.retryAfterMs ?? 0;
    this.progressed = options.progressed ?? false;
  }
}

export async function withRetries<T>(remote: Remote, url: string, attempt: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      remote.signal.throwIfAborted();
      if (!(error instanceof TransientFailure)) throw error;
      if (error.progressed) tries = 1;
      if (tries >= remote.maxTries) {
        throw new QuernError(
          "download_failed",
          `${withoutSecrets(url)} can't be fetched: ${error.message}, ${tries} times in a row; check the network and run the same command again, it goes on where it stopped`,
          { cause: error },
        );
      }
      await delay(Math.max(remote.retryDelayMs(tries), error.retryAfterMs), undefined, {
        signal: remote.signal,
      });
    }
  }
}

interface OpenedRemote {
  response: Response;
  /** The LFS digest that Hugging Face tells before it redirects to its store. */
  linkedSha256: string | null;
}

const MAX_REDIRECTS = 5;

/** GETs `url` following redirects by hand: the first answer's headers count, and the token must not travel on. */
export async function openRemote(
  url: string,
  headers: Record<string, string>,
  remote: Remote,
  signal: AbortSignal = remote.signal,
): Promise<OpenedRemote> {
  let target = url;
  let linkedSha256: string | null = null;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const response = await fetchOnce(target, { ...headers, ...authorization(target, remote) }, signal);
    linkedSha256 ??= /^"?([0-9a-f]{64})"?$/.exec(response.headers.get("x-linked-etag") ?? "")?.[1] ?? null;
    const location = response.headers.get("location");
    if (response.status < 300 || response.status >= 400 || location === null)
      return { response, linkedSha256 };
    await response.body?.cancel();
    target = new URL(location, target).href;
  }
  throw new QuernError("download_failed", `${withoutSecrets(url)} redirects without end: check the URL`);
}

async function fetchOnce(
  url: string,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<Response> {
  try {
    // Compressed bytes could be neither resumed nor counted.
    return await fetch(url, {
      headers: { "accept-encoding": "identity", ...headers },
      redirect: "manual",
      signal,
    });
  } catch (cause) {
    signal.throwIfAborted();
    throw new TransientFailure(`no connection (${reasonOf(cause)})`, { cause });
  }
}

function authorization(url: string, remote: Remote): Record<string, string> {
  const ours = remote.hfToken !== null && new URL(url).origin === new URL(remote.hfEndpoint).origin;
  return ours ? { authorization: `Bearer ${remote.hfToken}` } : {};
}

/** `fetch failed` hides what failed in its cause. */
export function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: { code?: string; message?: string } };
  return cause?.code ?? cause?.message ?? (error as Error).message;
}

/** What to throw for an answer that is no success. */
export async function failureOf(response: Response, url: string): Promise<Error> {
  await response.body?.cancel();
  const { status } = response;
  const where = withoutSecrets(url);
  if (status === 408 || status === 429 || status >= 500) {
    return new TransientFailure(`the server answers ${status}`, { retryAfterMs: retryAfterMs(response) });
  }
  if (status === 401 || status === 403) {
    return new QuernError(
      "download_failed",
      `${where} may not be read (${status}): check the name, or set HF_TOKEN to a token that may read it`,
    );
  }
  const cure = status === 404 ? "check the name in the catalogue" : "try another source";
  return new QuernError(
    "download_failed",
    `${where} can't be fetched: the server answers ${status}; ${cure}`,
  );
}

/** The seconds form, at most a minute: nobody waits longer without asking a person. */
function retryAfterMs(response: Response): number {
  const seconds = Number(response.headers.get("retry-after") ?? 0);
  return Number.isFinite(seconds) ? Math.min(seconds, 60) * 1_000 : 0;
}
