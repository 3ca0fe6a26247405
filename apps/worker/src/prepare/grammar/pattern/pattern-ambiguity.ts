import { ALL_CODES, type CodeRange, overlap } from "../gbnf/code-ranges.ts";
import { isNullable, type PatternBranch, type PatternNode } from "./pattern-syntax.ts";

/**
 * How many places of the pattern llama.cpp may have to follow side by side: 1 when every character tells where one
 * is, else at most all of them, repetitions written out.
 */
export function parallelPlaces(branches: readonly PatternBranch[]): number {
  const [only] = branches;
  if (branches.length === 1 && only !== undefined && only.fromStart) {
    if (isDeterministic(only.node, only.toEnd ? [] : ALL_CODES)) return 1;
  }
  return branches.reduce((sum, { node }) => sum + places(node), 0);
}

function places(node: PatternNode): number {
  switch (node.kind) {
    case "set":
      return 1;
    case "sequence":
      return node.parts.reduce((sum, part) => sum + places(part), 0);
    case "choice":
      return node.options.reduce((sum, option) => sum + places(option), 0);
    case "repeat":
      return places(node.of) * Math.max(1, node.max ?? node.min);
  }
}

/** Whether the next character always decides the way; `after`: the characters that may follow the node. */
function isDeterministic(node: PatternNode, after: readonly CodeRange[]): boolean {
  switch (node.kind) {
    case "set":
      return true;
    case "sequence": {
      let follow = [...after];
      return node.parts.toReversed().every((part) => {
        const decided = isDeterministic(part, follow);
        follow = isNullable(part) ? [...firsts(part), ...follow] : firsts(part);
        return decided;
      });
    }
    case "choice": {
      const beginnings = node.options.map((option) =>
        isNullable(option) ? [...firsts(option), ...after] : firsts(option),
      );
      const apart = beginnings.every((one, at) =>
        beginnings.slice(at + 1).every((other) => !overlap(one, other)),
      );
      return apart && node.options.every((option) => isDeterministic(option, after));
    }
    case "repeat": {
      const again = firsts(node.of);
      if (node.max !== node.min && overlap(again, after)) return false;
      return isDeterministic(node.of, [...again, ...after]);
    }
  }
}

function firsts(node: PatternNode): CodeRange[] {
  switch (node.kind) {
    case "set":
      return node.ranges;
    case "choice":
      return node.options.flatMap(firsts);
    case "repeat":
      return firsts(node.of);
    case "sequence": {
      const last = node.parts.findIndex((part) => !isNullable(part));
      return (last === -1 ? node.parts : node.parts.slice(0, last + 1)).flatMap(firsts);
    }
  }
}
