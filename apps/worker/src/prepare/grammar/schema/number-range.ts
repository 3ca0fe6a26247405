/** Bounds as JSON Schema gives them; null: none. */
export interface NumberBounds {
  minimum: number | null;
  exclusiveMinimum: number | null;
  maximum: number | null;
  exclusiveMaximum: number | null;
}

export function isUnbounded({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: NumberBounds): boolean {
  return [minimum, maximum, exclusiveMinimum, exclusiveMaximum].every((bound) => bound === null);
}

/** Digits of what has no upper bound, and of fractions: as many as a double tells apart. */
const MAX_DIGITS = 15;

/** A bound's decimal digits, without sign; the fraction without trailing zeros. */
interface Magnitude {
  whole: bigint;
  fraction: string;
  exclusive: boolean;
}

const ZERO: Magnitude = { whole: 0n, fraction: "", exclusive: false };

/** The whole numbers within the bounds, as GBNF alternatives; null: there are none. */
export function integerRange(bounds: NumberBounds): string | null {
  const { lower, upper } = tightest(bounds);
  const min =
    lower === null
      ? null
      : BigInt(Math.ceil(lower.value)) + oneIf(lower.exclusive && Number.isInteger(lower.value));
  const max =
    upper === null
      ? null
      : BigInt(Math.floor(upper.value)) - oneIf(upper.exclusive && Number.isInteger(upper.value));
  const positive = max !== null && max < 0n ? null : wholeRange(min === null || min < 0n ? 0n : min, max);
  const negative =
    min !== null && min >= 0n
      ? null
      : wholeRange(max === null || max >= 0n ? 1n : -max, min === null ? null : -min);
  return alternativesOf([negative === null ? null : `"-" (${negative})`, positive]);
}

/**
 * The decimal numbers within the bounds, without exponents, as GBNF alternatives; null: there are none.
 * @throws RangeError for bounds that only an exponent can spell (below 0.000001)
 */
export function numberRange(bounds: NumberBounds): string | null {
  const { lower, upper } = tightest(bounds);
  const below = upper !== null && upper.value < 0;
  const above = lower !== null && lower.value >= 0;
  const positive = below ? null : magnitudeRange(above ? magnitude(lower) : ZERO, upper && magnitude(upper));
  const negative = above
    ? null
    : magnitudeRange(below ? magnitude(upper) : { ...ZERO, exclusive: true }, lower && magnitude(lower));
  return alternativesOf([negative === null ? null : `"-" (${negative})`, positive]);
}

interface Bound {
  value: number;
  exclusive: boolean;
}

function tightest(bounds: NumberBounds): { lower: Bound | null; upper: Bound | null } {
  const pick = (inclusive: number | null, exclusive: number | null, sign: 1 | -1): Bound | null => {
    if (exclusive !== null && (inclusive === null || exclusive * sign >= inclusive * sign)) {
      return { value: exclusive, exclusive: true };
    }
    return inclusive === null ? null : { value: inclusive, exclusive: false };
  };
  return {
    lower: pick(bounds.minimum, bounds.exclusiveMinimum, 1),
    upper: pick(bounds.maximum, bounds.exclusiveMaximum, -1),
  };
}

function magnitude({ value, exclusive }: Bound): Magnitude {
  const size = Math.abs(value);
  if (Number.isInteger(size)) return { whole: BigInt(size), fraction: "", exclusive };
  const [whole = "", fraction = ""] = String(size).split(".");
  if (/e/i.test(String(size))) throw new RangeError(`${value} has too many digits for a bound`);
  return { whole: BigInt(whole), fraction, exclusive };
}

function magnitudeRange(lower: Magnitude, upper: Magnitude | null): string | null {
  if (upper !== null && upper.whole < lower.whole) return null;
  if (upper !== null && upper.whole === lower.whole) return withFraction(lower.whole, lower, upper);
  const between = wholeRange(lower.whole + 1n, upper === null ? null : upper.whole - 1n);
  const digits = fractionDigitsBeside(upper?.whole ?? 0n);
  return alternativesOf([
    withFraction(lower.whole, lower, null),
    between === null ? null : `(${between})${digits === 0 ? "" : ` ("." [0-9]{1,${digits}})?`}`,
    upper === null ? null : withFraction(upper.whole, null, upper),
  ]);
}

/** More digits than a double tells apart could round to a bound, or past it. */
function fractionDigitsBeside(whole: bigint): number {
  return Math.max(0, MAX_DIGITS - String(whole).length);
}

/** Numbers of one whole part, whose fractions lie within the bounds that have this whole part. */
function withFraction(whole: bigint, lower: Magnitude | null, upper: Magnitude | null): string | null {
  const fractions: Fractions = { lower: lower?.fraction ?? null, upper: upper?.fraction ?? null };
  const exclusive: Exclusive = { lower: lower?.exclusive ?? false, upper: upper?.exclusive ?? false };
  const bare = mayEnd(fractions, exclusive);
  const digits = fractionDigits(fractions, exclusive, fractionDigitsBeside(whole));
  if (digits.length === 0) return bare ? `"${whole}"` : null;
  return `"${whole}" ("." (${digits.join(" | ")}))${bare ? "?" : ""}`;
}

/** What is left of the bounds' fractions when their digits so far were met; null: past the bound, whatever follows. */
interface Fractions {
  lower: string | null;
  upper: string | null;
}

interface Exclusive {
  lower: boolean;
  upper: boolean;
}

/** At least one more digit, at most `left`. */
function fractionDigits({ lower, upper }: Fractions, exclusive: Exclusive, left: number): string[] {
  if (left === 0) return [];
  if (upper === "") return mayEnd({ lower, upper }, exclusive) ? ['"0"'] : [];
  const free = lower === null || (lower === "" && !exclusive.lower);
  if (free && upper === null) return [`[0-9]{1,${left}}`];
  const lowest = Number(lower?.[0] ?? "0");
  const highest = Number(upper?.[0] ?? "9");
  const firsts = new Map<string, number[]>();
  for (let digit = lowest; digit <= highest; digit += 1) {
    const rest: Fractions = {
      lower: !free && digit === lowest ? (lower ?? "").slice(1) : null,
      upper: upper !== null && digit === highest ? upper.slice(1) : null,
    };
    const more = fractionDigits(rest, exclusive, left - 1);
    const ends = mayEnd(rest, exclusive);
    if (more.length === 0 && !ends) continue;
    const tail = more.length === 0 ? "" : ` (${more.join(" | ")})${ends ? "?" : ""}`;
    firsts.set(tail, [...(firsts.get(tail) ?? []), digit]);
  }
  return Array.from(firsts, ([tail, digits]) => `[${digits.join("")}]${tail}`);
}

/** Whether only zeros may follow. What is left of a bound's fraction never ends with zeros. */
function mayEnd({ lower, upper }: Fractions, exclusive: Exclusive): boolean {
  const reachesLower = lower === null || (lower === "" && !exclusive.lower);
  return reachesLower && !(upper === "" && exclusive.upper);
}

/** Whole numbers from `min` to `max` (null: without end) without leading zeros. */
function wholeRange(min: bigint, max: bigint | null): string | null {
  if (max !== null && max < min) return null;
  const alternatives: string[] = [];
  const lastLength = String(max ?? min).length;
  for (let length = String(min).length; length <= lastLength; length += 1) {
    const first = length === 1 ? 0n : 10n ** BigInt(length - 1);
    const last = 10n ** BigInt(length) - 1n;
    const from = min > first ? min : first;
    const to = max !== null && max < last ? max : last;
    alternatives.push(...sameLengthRange(String(from), String(to)));
  }
  if (max === null) alternatives.push(`[1-9] [0-9]{${lastLength},${Math.max(MAX_DIGITS, lastLength)}}`);
  return alternatives.join(" | ");
}

function sameLengthRange(from: string, to: string): string[] {
  const [low = "0", high = "9"] = [from[0], to[0]];
  const [lowRest, highRest] = [from.slice(1), to.slice(1)];
  if (lowRest === "") return [digitClass(low, high)];
  const [allZeros, allNines] = [/^0*$/.test(lowRest), /^9*$/.test(highRest)];
  if (allZeros && allNines) return [`${digitClass(low, high)} [0-9]{${lowRest.length}}`];
  const within = (digit: string, a: string, b: string) => `"${digit}" (${sameLengthRange(a, b).join(" | ")})`;
  if (low === high) return [within(low, lowRest, highRest)];
  const alternatives: string[] = [];
  const [next, previous] = [Number(low) + (allZeros ? 0 : 1), Number(high) - (allNines ? 0 : 1)];
  if (!allZeros) alternatives.push(within(low, lowRest, "9".repeat(lowRest.length)));
  if (next <= previous)
    alternatives.push(`${digitClass(String(next), String(previous))} [0-9]{${lowRest.length}}`);
  if (!allNines) alternatives.push(within(high, "0".repeat(highRest.length), highRest));
  return alternatives;
}

function digitClass(low: string, high: string): string {
  return low === high ? `"${low}"` : `[${low}-${high}]`;
}

function alternativesOf(alternatives: readonly (string | null)[]): string | null {
  const possible = alternatives.filter((alternative) => alternative !== null);
  return possible.length === 0 ? null : possible.join(" | ");
}

function oneIf(condition: boolean): bigint {
  return condition ? 1n : 0n;
}
