/** Finds where a JSON object ends that arrives in pieces; strings and their escapes may hold any braces. */
export class JsonValueEnd {
  #depth = 0;
  #place: "outside" | "string" | "escape" = "outside";

  /** How many characters of `piece` belong to the object; `piece.length` when it goes on, with `ended` false. */
  read(piece: string): { length: number; ended: boolean } {
    for (let at = 0; at < piece.length; at += 1) {
      this.#step(piece.charAt(at));
      if (this.#depth === 0 && this.#place === "outside") return { length: at + 1, ended: true };
    }
    return { length: piece.length, ended: false };
  }

  #step(character: string): void {
    if (this.#place === "escape") this.#place = "string";
    else if (this.#place === "string") {
      if (character === "\\") this.#place = "escape";
      else if (character === '"') this.#place = "outside";
    } else if (character === '"') this.#place = "string";
    else if (character === "{" || character === "[") this.#depth += 1;
    else if (character === "}" || character === "]") this.#depth -= 1;
  }
}
