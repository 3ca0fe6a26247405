import { isSpecialToken, splitAtSpecialTokens } from "./tokenizer.ts";

/**
 * Cuts a text into pieces of which no two are alike, so that each can say what comes next: word by word, and where a
 * word was there before, as many words as make it new ("ha ha ha ha" becomes "ha", " ha", " ha ha"). A special token
 * stands alone the first time, unless a lone line break beside it has to lean on it. The pieces join to the text.
 */
export function cutIntoDistinctPieces(text: string): string[] {
  let pieces: string[] = [];
  let piece = "";
  for (const word of cutIntoWords(text)) {
    if (isSpecialToken(word) && !pieces.includes(word) && piece !== "") {
      pieces = joinedBackwards(pieces, piece);
      piece = "";
    }
    piece += word;
    if (pieces.includes(piece) || endsPrompts(piece)) continue;
    pieces.push(piece);
    piece = "";
  }
  return piece === "" ? pieces : joinedBackwards(pieces, piece);
}

/** White space goes with the word after it, or at the end with the one before. */
function cutIntoWords(text: string): string[] {
  return splitAtSpecialTokens(text).flatMap((part) =>
    isSpecialToken(part) ? [part] : (part.match(/\s*\S+(?:\s+$)?|\s+/gu) ?? []),
  );
}

/** `rest` was said before: join it to the pieces before it until the sum is new. */
function joinedBackwards(pieces: readonly string[], rest: string): string[] {
  const kept = [...pieces];
  let last = rest;
  do last = (kept.pop() ?? "") + last;
  while (kept.length > 0 && kept.includes(last));
  return [...kept, last];
}

/** The template's prompt ends with a line break: as a piece it would start the script in its middle. */
function endsPrompts(piece: string): boolean {
  return piece === "\n";
}
