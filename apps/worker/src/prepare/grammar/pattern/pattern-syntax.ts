import { type CodeRange, complement } from "../gbnf/code-ranges.ts";

/** A regular expression, read. `set` is one character. */
export type PatternNode =
  | { kind: "set"; ranges: CodeRange[] }
  | { kind: "sequence"; parts: PatternNode[] }
  | { kind: "choice"; options: PatternNode[] }
  | { kind: "repeat"; of: PatternNode; min: number; max: number | null };

/** One top-level alternative, and whether it is bound to the text's ends. */
export interface PatternBranch {
  node: PatternNode;
  fromStart: boolean;
  toEnd: boolean;
}

/** Its message says what the pattern has that can't be a grammar. */
export class PatternUnsupported extends Error {}

const DIGITS: CodeRange[] = [[0x30, 0x39]];
const WORD: CodeRange[] = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
const SPACE: CodeRange[] = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];
const LINE_ENDS: CodeRange[] = [
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
];
const CONTROLS = new Map([
  ["n", 0x0a],
  ["r", 0x0d],
  ["t", 0x09],
  ["f", 0x0c],
  ["v", 0x0b],
  ["0", 0x00],
]);
const MAX_DEPTH = 50;

/**
 * Reads the part of ECMAScript's regular expressions that is regular and has no look-around: literals, classes,
 * `\d \w \s`, groups, `|`, and bounded and unbounded repetitions; `^` and `$` at the ends only.
 *
 * @throws PatternUnsupported
 */
export function parsePattern(source: string): PatternBranch[] {
  const reader = new PatternReader(source);
  const branches = reader.branches();
  reader.expectEnd();
  return branches;
}

class PatternReader {
  readonly #characters: string[];
  #at = 0;
  #depth = 0;

  constructor(source: string) {
    this.#characters = Array.from(source);
  }

  branches(): PatternBranch[] {
    const branches: PatternBranch[] = [];
    do {
      const fromStart = this.#skip("^");
      const node = this.#sequence();
      branches.push({ node, fromStart, toEnd: this.#skip("$") });
    } while (this.#skip("|"));
    return branches;
  }

  expectEnd(): void {
    const rest = this.#peek();
    if (rest !== undefined) throw new PatternUnsupported(`"${rest}" at character ${this.#at + 1}`);
  }

  #choice(): PatternNode {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw new PatternUnsupported(`groups nested deeper than ${MAX_DEPTH}`);
    const options = [this.#sequence()];
    while (this.#skip("|")) options.push(this.#sequence());
    this.#depth -= 1;
    return options.length === 1 && options[0] !== undefined ? options[0] : { kind: "choice", options };
  }

  #sequence(): PatternNode {
    const parts: PatternNode[] = [];
    for (let next = this.#peek(); next !== undefined && !"|)$".includes(next); next = this.#peek()) {
      parts.push(this.#repeated(this.#atom()));
    }
    return { kind: "sequence", parts };
  }

  #atom(): PatternNode {
    const character = this.#take();
    switch (character) {
      case "(":
        return this.#group();
      case "[":
        return { kind: "set", ranges: this.#class() };
      case ".":
        return { kind: "set", ranges: complement(LINE_ENDS) };
      case "\\":
        return { kind: "set", ranges: this.#escape() };
      case "^":
        throw new PatternUnsupported('"^" inside the pattern');
      case "*":
      case "+":
      case "?":
      case "{":
        throw new PatternUnsupported(`"${character}" with nothing to repeat`);
      default:
        return { kind: "set", ranges: [only(character)] };
    }
  }

  #group(): PatternNode {
    if (this.#skip("?") && !this.#skip(":")) this.#groupName();
    const node = this.#choice();
    if (!this.#skip(")")) throw new PatternUnsupported("a group that is not closed, or an anchor within one");
    return node;
  }

  /** A name changes nothing: what it could be referred by is refused. */
  #groupName(): void {
    const [name] = /^<[A-Za-z_$][\w$]*>/.exec(this.#characters.slice(this.#at, this.#at + 64).join("")) ?? [];
    if (name === undefined) throw new PatternUnsupported(`the group "(?${this.#peek() ?? ""}"`);
    this.#at += name.length;
  }

  #repeated(of: PatternNode): PatternNode {
    const bounds = this.#bounds();
    if (bounds === null) return of;
    // Lazy or greedy: the language is the same.
    this.#skip("?");
    if (isNullable(of) && bounds.max === 1) return of;
    if (isNullable(of)) throw new PatternUnsupported("a repetition of what may be empty");
    return { kind: "repeat", of, ...bounds };
  }

  #bounds(): { min: number; max: number | null } | null {
    if (this.#skip("*")) return { min: 0, max: null };
    if (this.#skip("+")) return { min: 1, max: null };
    if (this.#skip("?")) return { min: 0, max: 1 };
    const [, min, comma, max] =
      /^\{(\d{1,6})(?:(,)(\d{1,6})?)?\}/.exec(this.#characters.slice(this.#at, this.#at + 16).join("")) ?? [];
    if (min === undefined) return null;
    this.#at = this.#characters.indexOf("}", this.#at) + 1;
    const bounds = {
      min: Number(min),
      max: comma === undefined ? Number(min) : max === undefined ? null : Number(max),
    };
    if (bounds.max !== null && bounds.max < bounds.min) throw new PatternUnsupported(`{${min},${max}}`);
    return bounds;
  }

  #class(): CodeRange[] {
    const negated = this.#skip("^");
    const ranges: CodeRange[] = [];
    while (!this.#skip("]")) {
      const first = this.#classMember();
      const [single] = first;
      const isRange = this.#peek() === "-" && this.#characters[this.#at + 1] !== "]" && isSingle(first);
      if (!isRange || single === undefined) {
        ranges.push(...first);
        continue;
      }
      this.#take();
      const last = this.#classMember()[0];
      if (last === undefined || last[0] !== last[1] || last[0] < single[0])
        throw new PatternUnsupported("a range in a class");
      ranges.push([single[0], last[0]]);
    }
    return negated ? complement(ranges) : ranges;
  }

  #classMember(): CodeRange[] {
    const character = this.#take();
    if (character !== "\\") return [only(character)];
    if (this.#skip("b")) return [[0x08, 0x08]];
    if (this.#skip("-")) return [only("-")];
    return this.#escape();
  }

  #escape(): CodeRange[] {
    const character = this.#take();
    const control = CONTROLS.get(character);
    if (control !== undefined) return [[control, control]];
    switch (character) {
      case "d":
        return DIGITS;
      case "D":
        return complement(DIGITS);
      case "w":
        return WORD;
      case "W":
        return complement(WORD);
      case "s":
        return SPACE;
      case "S":
        return complement(SPACE);
      case "x":
        return [this.#hex(2)];
      case "u":
        return [this.#hex(4)];
      default:
        if (/^[A-Za-z0-9]$/.test(character)) throw new PatternUnsupported(`"\\${character}"`);
        return [only(character)];
    }
  }

  #hex(digits: number): CodeRange {
    const text = this.#characters.slice(this.#at, this.#at + digits).join("");
    if (!/^[0-9a-fA-F]+$/.test(text) || text.length !== digits)
      throw new PatternUnsupported("an escape by number");
    this.#at += digits;
    const code = Number.parseInt(text, 16);
    return [code, code];
  }

  #peek(): string | undefined {
    return this.#characters[this.#at];
  }

  #take(): string {
    const character = this.#peek();
    if (character === undefined) throw new PatternUnsupported("an end where more was to come");
    this.#at += 1;
    return character;
  }

  #skip(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at += 1;
    return true;
  }
}

export function isNullable(node: PatternNode): boolean {
  switch (node.kind) {
    case "set":
      return false;
    case "sequence":
      return node.parts.every(isNullable);
    case "choice":
      return node.options.some(isNullable);
    case "repeat":
      return node.min === 0 || node.max === 0;
  }
}

/** How many characters a match has; null: without end. */
export function matchLengths(node: PatternNode): { min: number; max: number | null } {
  switch (node.kind) {
    case "set":
      return { min: 1, max: 1 };
    case "sequence":
      return node.parts.map(matchLengths).reduce(sum, { min: 0, max: 0 });
    case "choice": {
      const lengths = node.options.map(matchLengths);
      const longest = lengths
        .map(({ max }) => max ?? Number.POSITIVE_INFINITY)
        .reduce((a, b) => Math.max(a, b), 0);
      return {
        min: lengths.map(({ min }) => min).reduce((a, b) => Math.min(a, b)),
        max: Number.isFinite(longest) ? longest : null,
      };
    }
    case "repeat": {
      const { min, max } = matchLengths(node.of);
      return { min: min * node.min, max: max === null || node.max === null ? null : max * node.max };
    }
  }
}

type Lengths = ReturnType<typeof matchLengths>;

function sum(a: Lengths, b: Lengths): Lengths {
  return { min: a.min + b.min, max: a.max === null || b.max === null ? null : a.max + b.max };
}

function only(character: string): CodeRange {
  const code = character.codePointAt(0) ?? 0;
  return [code, code];
}

function isSingle(ranges: readonly CodeRange[]): boolean {
  const [range] = ranges;
  return ranges.length === 1 && range !== undefined && range[0] === range[1];
}
