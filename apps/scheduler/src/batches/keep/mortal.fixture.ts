/** How many calls a process under test has left; at the last one it dies, before or after it has its effect. */
export interface Life {
  calls: number;
  dies: "before" | "after";
}

export class Crash extends Error {
  override readonly name = "Crash";
}

/** Each method of it fails from the last call of `life` on, as if the process had died with it. */
export function mortal<Target extends object>(target: Target, life: Life): Target {
  return new Proxy(target, {
    get(of, name) {
      const member: unknown = Reflect.get(of, name);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) => {
        life.calls -= 1;
        if (life.calls < 0 || (life.calls === 0 && life.dies === "before")) throw new Crash();
        const result: unknown = member.apply(of, args);
        if (life.calls > 0) return result;
        if (!(result instanceof Promise)) throw new Crash();
        return result.then(async (value: unknown) => {
          // What a process has open is closed when it dies.
          if (isClosable(value)) await value.close();
          throw new Crash();
        });
      };
    },
  });
}

function isClosable(value: unknown): value is { close(): Promise<void> } {
  return typeof value === "object" && value !== null && "close" in value;
}
