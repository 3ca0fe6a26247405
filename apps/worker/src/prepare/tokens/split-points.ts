/** Characters of a text that are tokenized in one call, about: some milliseconds of work. */
export const CHUNK_CHARACTERS = 16 * 1_024;

/** The pre-tokenizers of Qwen's vocabularies, as GGUF names them (`tokenizer.ggml.pre`). */
const SPLITTABLE_PRE_TOKENIZERS = new Set(["qwen2", "qwen35"]);

/** A letter or a digit in front of anything that is neither, nor a mark that belongs to it. */
const BOUNDARY = /[\p{L}\p{N}](?=[^\p{L}\p{N}\p{M}])/gu;

/**
 * Whether texts for this pre-tokenizer may be cut by `splitText`. Its words never reach over the end of a run of letters
 * and digits, and what follows is read the same whatever was before: the pieces give the tokens that the whole text gives.
 */
export function isSplittable(preTokenizer: string | undefined): boolean {
  return preTokenizer !== undefined && SPLITTABLE_PRE_TOKENIZERS.has(preTokenizer);
}

/** Pieces of about `chunkCharacters`, which join to the text. A run of letters is never cut, however long it is. */
export function* splitText(text: string, chunkCharacters = CHUNK_CHARACTERS): Generator<string> {
  let from = 0;
  while (text.length - from > chunkCharacters) {
    BOUNDARY.lastIndex = from + chunkCharacters;
    const found = BOUNDARY.exec(text);
    if (found === null) break;
    const end = found.index + found[0].length;
    yield text.slice(from, end);
    from = end;
  }
  if (from < text.length) yield text.slice(from);
}
