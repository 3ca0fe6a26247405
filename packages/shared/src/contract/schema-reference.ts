/**
 * The steps of a `$ref` within one JSON schema (`#`, `#/$defs/city`); null: it leads elsewhere. A pointer in a fragment
 * is percent-encoded as well. https://www.rfc-editor.org/rfc/rfc6901#section-6
 */
export function referenceSteps(reference: string): string[] | null {
  if (reference !== "#" && !reference.startsWith("#/")) return null;
  return reference.split("/").slice(1).map(unescapedStep);
}

/** What stands there; undefined: nothing. */
export function pointedAt(root: unknown, steps: readonly string[]): unknown {
  return steps.reduce<unknown>((at, step) => {
    const isHolder = typeof at === "object" && at !== null && Object.hasOwn(at, step);
    return isHolder ? (at as Record<string, unknown>)[step] : undefined;
  }, root);
}

function unescapedStep(step: string): string {
  let decoded = step;
  try {
    decoded = decodeURIComponent(step);
  } catch {
    // A percent sign that begins no character stands for itself.
  }
  return decoded.replaceAll("~1", "/").replaceAll("~0", "~");
}
