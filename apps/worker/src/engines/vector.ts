/**
 * Of length 1, as cosine similarity wants it, in 32-bit floats, the low byte first, in base64.
 * @param dimensions numbers to keep; models that were trained for it (Matryoshka) put what matters most first.
 */
export function encodeVector(numbers: readonly number[], dimensions: number): string {
  const kept = numbers.slice(0, dimensions);
  const length = Math.hypot(...kept);
  const bytes = Buffer.alloc(kept.length * Float32Array.BYTES_PER_ELEMENT);
  for (const [i, number] of kept.entries()) {
    // A vector of zeros has no direction, and stays what it is.
    bytes.writeFloatLE(length === 0 ? 0 : number / length, i * Float32Array.BYTES_PER_ELEMENT);
  }
  return bytes.toString("base64");
}
