import { randomInt } from "node:crypto";

/** llama.cpp's seeds have 32 bits, the highest of which means "any". */
export function drawSeed(): number {
  return randomInt(2 ** 32 - 1);
}
