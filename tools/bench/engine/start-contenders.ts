import { startChildContender } from "./child-contender.ts";
import type { Contender, ContenderOptions } from "./contender.ts";
import { startLlamaServer } from "./llama-server.ts";

export interface Selection {
  /** `library`: node-llama-cpp's own ways as well. */
  baseline: "none" | "library";
  /** Path of another checkout's contender-child.ts, whose engine is measured too; null: none. */
  against: string | null;
  /** Path of a llama-server to measure; null: none. */
  llamaServer: string | null;
  promptCache: "on" | "off";
  deliveries: readonly ("whole" | "stream")[];
}

export interface StartedContenders extends AsyncDisposable {
  /** In the order in which they take their turns. */
  readonly contenders: readonly Contender[];
}

/** All loaded at once, so that rounds can alternate. Those that started are closed when one can't. */
export async function startContenders(
  options: ContenderOptions,
  selection: Selection,
  stop: AbortSignal,
): Promise<StartedContenders> {
  await using starting = new AsyncDisposableStack();
  const contenders: Contender[] = [];
  contenders.push(starting.use(await startChildContender("quern", options, stop)));
  if (selection.against !== null) {
    const other = { file: selection.against, name: "quern-against" } as const;
    contenders.push(starting.use(await startChildContender("quern", options, stop, other)));
  }
  if (selection.llamaServer !== null) {
    const { llamaServer: binary, promptCache, deliveries } = selection;
    const server = starting.use(await startLlamaServer({ ...options, binary, promptCache }, stop));
    contenders.push(...deliveries.map((delivery) => server[delivery]));
  }
  if (selection.baseline === "library") {
    for (const name of ["completion", "evaluate"] as const) {
      contenders.push(starting.use(await startChildContender(name, options, stop)));
    }
  }
  const started = starting.move();
  return { contenders, [Symbol.asyncDispose]: () => started.disposeAsync() };
}
