/**
 * How many characters at the end of `text` could be the beginning of one of `markers`, and so must wait for what
 * follows. A whole marker does not count: the caller looks for those first.
 */
export function heldPrefixLength(text: string, markers: readonly string[]): number {
  let held = 0;
  for (const marker of markers) {
    for (let length = Math.min(marker.length - 1, text.length); length > held; length -= 1) {
      if (text.endsWith(marker.slice(0, length))) {
        held = length;
        break;
      }
    }
  }
  return held;
}
