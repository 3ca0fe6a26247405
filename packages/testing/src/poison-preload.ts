// Loaded into an engine child before its own code (`poisonEnvironment`): a request that has one of these words among its stop
// strings kills it, as one that llama.cpp asserts on does. No request is known that this release of llama.cpp dies of on a
// healthy model, and the engine itself has no such door.

const ENGINE_MAIN = /\/engines\/llama\/main\.ts$/;
const DEATHS: Readonly<Record<string, () => void>> = {
  "poison-for-the-engine": () => process.abort(),
  "poison-for-the-worker": () => process.kill(process.ppid, "SIGKILL"),
};

// A listener of our own would open the channel before the engine's is there, and what comes first would be lost.
const emit = process.emit.bind(process) as (name: string, ...rest: unknown[]) => boolean;
if (ENGINE_MAIN.test(process.argv[1] ?? "")) {
  process.emit = ((name: string, ...rest: unknown[]) => {
    const passed = emit(name, ...rest);
    if (name === "message") dieOf(rest[0] as { type: string });
    return passed;
  }) as typeof process.emit;
}

function dieOf(command: { type: string }): void {
  if (command.type !== "generate") return;
  const text = JSON.stringify(command);
  for (const [word, die] of Object.entries(DEATHS)) if (text.includes(word)) die();
}
