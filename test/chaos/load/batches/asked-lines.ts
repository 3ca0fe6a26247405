import type { Random } from "../../random.ts";
import { CHAOS_MODEL, type Expected, expectedAnswer, type Script, TALK, wordAt } from "../../script.ts";

/** A line of a batch, and what it must come to; null: an error of its own. */
export interface AskedLine {
  customId: string;
  body: Record<string, unknown>;
  expected: Expected | null;
}

export const BATCH_ENDPOINT = "/v1/chat/completions";
const TOKENS = { least: 5, most: 250 };
const OWN_ERRORS_PERCENT = 2;

/** @param kinds that they are drawn from, each a body; 0: every line has its own. */
export function drawLines(random: Random, script: Script, count: number, kinds: number): AskedLine[] {
  const drawn = Array.from({ length: kinds }, () => drawBody(random, script));
  return Array.from({ length: count }, (_, at) => ({
    customId: `line ${at}`,
    ...(kinds === 0 ? drawBody(random, script) : random.pick(drawn)),
  }));
}

function drawBody(random: Random, script: Script): Omit<AskedLine, "customId"> {
  // Of temperature 0, so that one that is asked twice has one answer.
  const body = { model: CHAOS_MODEL, messages: [{ role: "user", content: TALK }], temperature: 0 };
  if (random.chance(OWN_ERRORS_PERCENT)) return { body: { ...body, max_tokens: -1 }, expected: null };
  const maxTokens = random.between(TOKENS.least, TOKENS.most);
  const stop = random.chance(20) ? wordAt(random.between(1, 200)) : null;
  return {
    body: { ...body, max_tokens: maxTokens, ...(stop === null ? {} : { stop }) },
    expected: expectedAnswer(script, { maxTokens, stop }),
  };
}

export function inputText(asked: readonly AskedLine[]): string {
  return asked
    .map(({ customId, body }) =>
      JSON.stringify({ custom_id: customId, method: "POST", url: BATCH_ENDPOINT, body }),
    )
    .join("\n");
}
