import { readFileSync } from "node:fs";
import { join } from "node:path";
import { RandomSource } from "@quern/testing/gguf/random-source";
import { shuffled } from "../engine/prompts.ts";

/** A line of a batch's input. */
export interface InputLine {
  custom_id: string;
  method: "POST";
  url: "/v1/chat/completions";
  body: {
    model: string;
    messages: { role: "system" | "user"; content: string }[];
    max_tokens: number;
    temperature: 0;
    chat_template_kwargs: { enable_thinking: false };
  };
}

/** A review as `models/README.md` describes it, and what is right. */
interface Review {
  id: string;
  review: string;
  label: string;
}

const REVIEWS_FILE = join(import.meta.dirname, "..", "..", "..", "models", "reviews.jsonl");
const CLASSIFY = "Classify the sentiment of this review as positive or negative: ";
/** The longest label takes less. */
const LABEL_TOKENS = 16;

export function readReviews(): Review[] {
  return readFileSync(REVIEWS_FILE, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Review);
}

/** The first `count` reviews, and after the last one the first again. */
export function reviewLines(model: string, count: number): InputLine[] {
  const reviews = readReviews();
  return Array.from({ length: count }, (_, at) => {
    const { id, review } = reviews[at % reviews.length] as Review;
    return line(`${id}-${at}`, model, [{ role: "user", content: CLASSIFY + review }], LABEL_TOKENS);
  });
}

/**
 * Prompts that have nothing in common but the template; the same seed gives the same. Answers take from half to one and a half
 * times `tokens`, in turns: were all of one length, those that begin together would end together, and an engine that is fed
 * in lockstep would compute eight prompts in one pass for ever.
 */
export function plainLines(
  model: string,
  { count, characters, tokens, seed }: { count: number; characters: number; tokens: number; seed: number },
): InputLine[] {
  return Array.from({ length: count }, (_, at) =>
    line(
      `line-${at}`,
      model,
      [{ role: "user", content: randomText(characters, seed * 100_000 + at) }],
      tokens / 2 + ((at * 7) % (tokens + 1)),
    ),
  );
}

/** Each line has one of a few system prompts; in random order. */
export function linesWithSharedPrompts(
  model: string,
  options: {
    count: number;
    prompts: number;
    promptCharacters: number;
    characters: number;
    tokens: number;
    seed: number;
  },
): InputLine[] {
  const { count, prompts, promptCharacters, characters, tokens, seed } = options;
  const system = Array.from({ length: prompts }, (_, at) => randomText(promptCharacters, seed * 1_000 + at));
  const order = shuffled(
    Array.from({ length: count }, (_, at) => at % prompts),
    seed,
  );
  return order.map((prompt, at) =>
    line(
      `line-${at}`,
      model,
      [
        { role: "system", content: system[prompt] as string },
        { role: "user", content: randomText(characters, seed * 100_000 + at) },
      ],
      tokens,
    ),
  );
}

/**
 * Lines of `bytes` bytes each, one at a time: all of them together would take the memory that is to be measured. Most of a
 * line is a variable that its template does not use: it is carried as a prompt is, and takes no time to tokenize.
 */
export function* linesOfSize(model: string, count: number, bytes: number): Generator<InputLine> {
  const filler = "lorem ipsum ".repeat(Math.ceil(bytes / 12));
  const sized = (name: string, unused: string) => {
    const one = line(`line-${name}`, model, [{ role: "user", content: name }], 1);
    return {
      ...one,
      body: { ...one.body, chat_template_kwargs: { enable_thinking: false as const, unused } },
    };
  };
  const bare = JSON.stringify(sized("0000000", "")).length + 1;
  for (let at = 0; at < count; at++) {
    yield sized(String(at).padStart(7, "0"), filler.slice(0, Math.max(0, bytes - bare)));
  }
}

function line(
  custom_id: string,
  model: string,
  messages: InputLine["body"]["messages"],
  max_tokens: number,
): InputLine {
  const chat_template_kwargs = { enable_thinking: false } as const;
  return {
    custom_id,
    method: "POST",
    url: "/v1/chat/completions",
    body: { model, messages, max_tokens, temperature: 0, chat_template_kwargs },
  };
}

/** Letters and spaces: with a tokenizer of bytes as many tokens as characters. */
function randomText(characters: number, seed: number): string {
  const random = new RandomSource(seed);
  const letter = () => "etaoinshrdlu "[(random.uint32() >>> 8) % 13] as string;
  return Array.from({ length: characters }, letter).join("").trim();
}
